#![no_main]

headframe_libfuzzer::target!("whatsminer_v3");
