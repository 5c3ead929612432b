#![no_main]

fuzz::target!(databridge::fuzzing::legacy_folder);
