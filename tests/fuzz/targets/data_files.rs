#![no_main]

fuzz::target!(sandbox::fuzzing::data_files);
