#![no_main]

fuzz::target!(databridge_config::fuzzing::config_files);
