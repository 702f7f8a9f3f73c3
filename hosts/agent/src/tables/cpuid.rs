//! `cpuid`: what the processor says of itself when it is asked with the instruction of that name.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    FEATURE "feature" Text,
    VALUE "value" Text,
    OUTPUT_REGISTER "output_register" Text,
    OUTPUT_BIT "output_bit" Integer,
    INPUT_EAX "input_eax" Text,
}

table! { Cpuid "cpuid" fill }

/// The registers after a call, in their order: `eax`, `ebx`, `ecx`, `edx`.
type Registers = [u32; 4];

/// A feature's name, the register that tells of it, and the bit of it.
type Feature = (&'static str, &'static str, u32);

/// The features by the input that asks for them, in osquery's order.
const FEATURES: [(u32, &[Feature]); 3] = [
    (
        1,
        &[
            ("pae", "edx", 6),
            ("msr", "edx", 5),
            ("sep", "edx", 11),
            ("mtrr", "edx", 12),
            ("pge", "edx", 13),
            ("mca", "edx", 14),
            ("pat", "edx", 16),
            ("clfsh", "edx", 19),
            ("acpi", "edx", 22),
            ("mmz", "edx", 23),
            ("sse", "edx", 25),
            ("sse2", "edx", 26),
            ("ss", "edx", 27),
            ("htt", "edx", 28),
            ("ia64", "edx", 30),
            ("sse3", "ecx", 0),
            ("vmx", "ecx", 5),
            ("smx", "ecx", 6),
            ("ssse3", "ecx", 9),
            ("sdbg", "ecx", 11),
            ("pdcm", "ecx", 15),
            ("pcid", "ecx", 17),
            ("dca", "ecx", 18),
            ("sse4.1", "ecx", 19),
            ("sse4.2", "ecx", 20),
            ("aes", "ecx", 25),
            ("avx", "ecx", 28),
            ("hypervisor", "ecx", 31),
        ],
    ),
    (
        7,
        &[
            ("sgx", "ebx", 2),
            ("hle", "ebx", 4),
            ("avx2", "ebx", 5),
            ("smep", "ebx", 7),
            ("bmi2", "ebx", 8),
            ("erms", "ebx", 9),
            ("invpcid", "ebx", 10),
            ("rtm", "ebx", 11),
            ("pqm", "ebx", 12),
            ("mpx", "ebx", 14),
            ("pqe", "ebx", 15),
            ("avx512f", "ebx", 16),
            ("avx512dq", "ebx", 17),
            ("rdseed", "ebx", 18),
            ("adx", "ebx", 19),
            ("smap", "ebx", 20),
            ("intel_pt", "ebx", 25),
            ("sha", "ebx", 29),
            ("umip", "ecx", 2),
            ("pku", "ecx", 3),
            ("ospke", "ecx", 4),
            ("gfni", "ecx", 8),
            ("vaes", "ecx", 9),
            ("sgx_lc", "ecx", 30),
            ("spec_ctrl", "edx", 26),
        ],
    ),
    (
        0x8000_0001,
        &[
            ("svm", "ecx", 2),
            ("ibs", "ecx", 10),
            ("skinit", "ecx", 12),
            ("lwp", "ecx", 15),
        ],
    ),
];

#[cfg(target_arch = "x86_64")]
fn fill(_: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    describe(rows, |eax, ecx| {
        let answer = std::arch::x86_64::__cpuid_count(eax, ecx);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    });
    Ok(())
}

/// Other processors have no such instruction.
#[cfg(not(target_arch = "x86_64"))]
fn fill(_: &Machine, _: &Scan, _: &mut RowBuffer) -> Result<(), TableError> {
    Ok(())
}

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
fn describe(rows: &mut RowBuffer, cpuid: impl Fn(u32, u32) -> Registers) {
    let mut row = |feature: &str, value: &str, register: &str, bit: u32, input: &str| {
        rows.start_row();
        rows.text(FEATURE, feature);
        rows.text(VALUE, value);
        rows.text(OUTPUT_REGISTER, register);
        rows.integer(OUTPUT_BIT, i64::from(bit));
        rows.text(INPUT_EAX, input);
    };
    let [highest, ebx, ecx, edx] = cpuid(0, 0);
    if highest < 1 {
        return;
    }
    row("vendor", &text(&[ebx, edx, ecx]), "ebx,edx,ecx", 0, "0");
    let name: Vec<u32> = (0x8000_0002..=0x8000_0004)
        .flat_map(|eax| cpuid(eax, 0))
        .collect();
    row("product_name", &text(&name), "eax,ebx,ecx,edx", 0, "0x80000002");
    let [eax, ebx, ecx, _] = cpuid(0x4000_0000, 0);
    if eax != 0 {
        let id = hexadecimal(&[eax, ebx, ecx]);
        row("hypervisor_id", &id, "ebx,ecx,edx", 0, "0x40000000");
    }
    let [signature, ..] = cpuid(1, 0);
    let [eax, _, _, edx] = cpuid(3, 0);
    row(
        "serial",
        &hexadecimal(&[signature, eax, edx]),
        "eax,eax,ecx",
        0,
        "1,3",
    );
    row("family", &format!("{:04x}", signature & 0xf00), "eax", 0, "1");
    for (input, features) in FEATURES {
        let [_, ebx, ecx, edx] = cpuid(input, 0);
        for &(feature, register, bit) in features {
            let content = match register {
                "ebx" => ebx,
                "ecx" => ecx,
                _ => edx,
            };
            let value = if content >> bit & 1 == 1 { "1" } else { "0" };
            row(feature, value, register, bit, &input.to_string());
        }
    }
    for (feature, ecx, input) in [("sgx0", 0, "18"), ("sgx1", 1, "18,1")] {
        let value = hexadecimal(&cpuid(0x12, ecx));
        row(feature, &value, "eax,ebx,ecx,edx", 0, input);
    }
}

/// Registers as the text that lies in them, up to a zero.
fn text(registers: &[u32]) -> String {
    let bytes: Vec<u8> = registers
        .iter()
        .flat_map(|register| register.to_le_bytes())
        .collect();
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn hexadecimal(registers: &[u32]) -> String {
    registers
        .iter()
        .map(|register| format!("{register:08x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, describe};
    use crate::sql::RowBuffer;
    #[cfg(target_arch = "x86_64")]
    use crate::tables::fixture::TestDatabase;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_kernel_knows_the_same_processor() {
        let kernels = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let of_kernel = |key: &str| {
            let line = kernels.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_once(": ").unwrap().1.to_owned()
        };
        let database = TestDatabase::open();
        let of_table = |feature: &str| {
            let rows = database.rows(&format!("select value from cpuid where feature = '{feature}'"));
            rows[0]["value"].clone()
        };
        assert_eq!(of_table("vendor"), of_kernel("vendor_id"));
        assert_eq!(of_table("product_name").trim(), of_kernel("model name").trim());
        let flags = of_kernel("flags");
        for (feature, flag) in [
            ("sse2", "sse2"),
            ("sse4.2", "sse4_2"),
            ("aes", "aes"),
            ("svm", "svm"),
        ] {
            let is_there = flags.split(' ').any(|other| other == flag);
            assert_eq!(of_table(feature), if is_there { "1" } else { "0" }, "{feature}");
        }
    }

    #[test]
    fn a_processor_without_the_call_has_no_rows() {
        let mut rows = RowBuffer::new(COLUMNS.len());
        describe(&mut rows, |_, _| [0; 4]);
        assert_eq!(rows.rows(), 0);
    }
}
