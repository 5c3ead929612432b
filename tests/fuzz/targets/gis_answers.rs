#![no_main]

fuzz::target!(gis_bridge::fuzzing::gis_answers);
