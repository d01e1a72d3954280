#![no_main]

headframe_libfuzzer::target!("json_repair");
