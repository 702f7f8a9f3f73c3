//! `uptime`: how long the machine has been up.

use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    DAYS "days" Integer,
    HOURS "hours" Integer,
    MINUTES "minutes" Integer,
    SECONDS "seconds" Integer,
    TOTAL_SECONDS "total_seconds" BigInt,
}

pub(crate) struct Uptime;

impl Table for Uptime {
    fn name(&self) -> &'static str {
        "uptime"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let total = rustix::system::sysinfo().uptime;
        #[allow(
            clippy::useless_conversion,
            reason = "the kernel's word is narrower on 32-bit machines"
        )]
        let total = i64::from(total);
        rows.start_row();
        rows.integer(DAYS, total / 86_400);
        rows.integer(HOURS, total / 3_600 % 24);
        rows.integer(MINUTES, total / 60 % 60);
        rows.integer(SECONDS, total % 60);
        rows.integer(TOTAL_SECONDS, total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn agrees_with_the_kernel() {
        let rows = TestDatabase::open().rows("select * from uptime");
        let number = |column: &str| rows[0][column].parse::<i64>().unwrap();
        let kernel: f64 = std::fs::read_to_string("/proc/uptime")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!((number("total_seconds") as f64 - kernel).abs() < 3.0);
        let total =
            ((number("days") * 24 + number("hours")) * 60 + number("minutes")) * 60 + number("seconds");
        assert_eq!(total, number("total_seconds"));
    }
}
