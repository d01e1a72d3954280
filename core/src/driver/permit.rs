/// Proof that a write was allowed. There is no public way to make one: an approved action has one, and the
/// site-less handle [`Direct`](super::Direct). A rack has none, so no write of a fleet goes around approval.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    pub(crate) const fn direct() -> Self {
        Self(())
    }
}
