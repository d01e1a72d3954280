#![no_main]

headframe_libfuzzer::target!("dispatcher");
