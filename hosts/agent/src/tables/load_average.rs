//! `load_average`: the load of the last one, five and fifteen minutes.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PERIOD "period" Text,
    AVERAGE "average" Text,
}

table! { LoadAverage "load_average" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let line = text_file::line(&machine.path("/proc/loadavg"));
    for (period, average) in ["1m", "5m", "15m"].into_iter().zip(line.split_whitespace()) {
        rows.start_row();
        rows.text(PERIOD, period);
        rows.display(AVERAGE, format_args!("{:.6}", average.parse().unwrap_or(0.0)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn three_periods() {
        let folder = tempfile::tempdir().unwrap();
        let database =
            TestDatabase::seeded(folder.path(), &[("/proc/loadavg", "0.15 1.20 3.00 1/234 567\n")]);
        assert_eq!(
            database.values("period,average", "load_average"),
            ["1m|0.150000", "5m|1.200000", "15m|3.000000"]
        );
    }
}
