//! Placeholder.
/// Checks.
pub fn check() -> anyhow::Result<()> {
    Ok(())
}
