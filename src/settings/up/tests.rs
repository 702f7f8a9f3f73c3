use proptest::prelude::*;

use super::*;
use crate::exit_code::ExitCode;

proptest! {
    #[test]
    fn any_port_argument_is_read_or_refused(text in "(broker|host1|x)?=?\\PC{0,8}") {
        let stack = Stack::lite().expect("the embedded stack");
        match ports(&stack, std::slice::from_ref(&text)) {
            Ok(ports) => {
                let (name, port) = ports.iter().next().expect("one port");
                let typed = text.split_once('=').expect("a sign");
                prop_assert_eq!(typed.0, name.as_str());
                prop_assert_eq!(typed.1.parse::<u16>(), Ok(*port));
            }
            Err(failure) => prop_assert_eq!(failure.diagnosis().exit_code(), ExitCode::Usage),
        }
    }
}
