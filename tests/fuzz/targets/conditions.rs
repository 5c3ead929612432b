#![no_main]

fuzz::target!(sandbox::fuzzing::conditions);
