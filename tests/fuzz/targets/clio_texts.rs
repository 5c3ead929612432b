#![no_main]

fuzz::target!(clio_bridge::fuzzing::clio_texts);
