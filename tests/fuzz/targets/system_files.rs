#![no_main]

fuzz::target!(databridge::fuzzing::system_files);
