#![no_main]

headframe_libfuzzer::target!("probe");
