//! Which field types can carry an aggregate's version.

/// A type that can count an aggregate's versions, for a field marked `#[aggregate(version)]`.
///
/// 0 is an aggregate that never raised an event; each raised event adds one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an aggregate's version",
    label = "a version is a `u64`, `i64`, `u32` or `i32`"
)]
pub trait AggregateVersion: Copy {
    /// The version as a number; a negative one counts as 0.
    fn get(self) -> u64;

    /// The version after one more event.
    #[must_use]
    fn next(self) -> Self;
}

macro_rules! versions {
    ($($integer:ty),*) => {$(
        impl AggregateVersion for $integer {
            fn get(self) -> u64 {
                u64::try_from(self).unwrap_or(0)
            }

            fn next(self) -> Self {
                self.saturating_add(1)
            }
        }
    )*};
}

versions!(u64, i64, u32, i32);
