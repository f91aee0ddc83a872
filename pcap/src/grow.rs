//! How tables with a bound grow: little by little, so that what is held is near what is used.

/// Makes room for one more, by a quarter of what there is, and never beyond the bound.
pub fn by_a_quarter<T>(table: &mut Vec<T>, len_max: usize) {
    if table.len() == table.capacity() {
        let more = (table.len() / 4).max(1_024).min(len_max - table.len());
        table.reserve_exact(more);
    }
}
