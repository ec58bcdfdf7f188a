//! One attempt at a delivery, kept from losing sight of it: panics outside of handlers, errors of any length.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{HandlerError, Outcome, Verdict, panic_message};

/// The application's code also runs where no handler is called: its types are decoded, its errors written. A panic there
/// is a failed attempt.
pub(crate) fn guarded<F: Future<Output = Outcome>>(attempt: F) -> Guarded<F> {
    Guarded { attempt }
}

pin_project! {
    /// An attempt that does not panic. An `async fn` would hold the attempt twice.
    pub(crate) struct Guarded<F> {
        #[pin]
        attempt: F,
    }
}

impl<F: Future<Output = Outcome>> Future for Guarded<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let attempt = self.project().attempt;
        catch_unwind(AssertUnwindSafe(|| attempt.poll(cx))).unwrap_or_else(|panic| {
            let error = format!("the delivery panicked: {}", panic_message(&*panic));
            Poll::Ready(Outcome::Failed { verdict: Verdict::Retry, error })
        })
    }
}

/// What a handler's answer means for its delivery.
pub(crate) fn outcome(result: Result<(), HandlerError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Handled,
        Err(error) => Outcome::Failed { verdict: error.verdict(), error: clip(error.to_string()) },
    }
}

/// The most of a handler's error that is kept, in bytes: every delivery that waits has one in memory and in the store.
const ERROR_BYTES: usize = 4 * 1024;

fn clip(mut error: String) -> String {
    if error.len() > ERROR_BYTES {
        let end = error.floor_char_boundary(ERROR_BYTES);
        error.truncate(end);
        error.push_str(" ... (cut)");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_between_two_characters() {
        let cut = clip("\u{e9}".repeat(5_000));
        assert!(cut.len() < ERROR_BYTES + 20 && cut.ends_with("\u{e9} ... (cut)"), "{} bytes", cut.len());
        assert_eq!(clip("short".to_owned()), "short");
    }
}
