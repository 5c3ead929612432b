#![no_main]

fuzz::target!(databridge_http::fuzzing::answers);
