//! What a subcommand runs on.

use tokio::runtime::Builder;

/// Runs `work` on this thread alone; `otherwise` is what comes of it where there can be no runtime.
pub(crate) fn on_one_thread<O>(otherwise: O, work: impl Future<Output = O>) -> O {
    on(Builder::new_current_thread(), otherwise, work)
}

/// The same on the threads that `builder` has.
pub(crate) fn on<O>(mut builder: Builder, otherwise: O, work: impl Future<Output = O>) -> O {
    match builder.enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(work);
            // A thread may still wait for a line of input; nobody wants it any more.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => {
            crate::print::note!("cannot start: {error}");
            otherwise
        }
    }
}
