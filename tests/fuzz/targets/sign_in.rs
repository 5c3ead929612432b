#![no_main]

fuzz::target!(auth_service::fuzzing::sign_in);
