//! The network fails after each call of a run.

use super::{Content, Host, apply, content, ours};
use fake_hosts::Cut;
use publish::{Done, Refusal};

/// More calls than any host needs.
const MOST_CALLS: usize = 40;

/// Whatever is cut, what is told of it is true, and the next run completes it without doubles.
pub async fn a_cut_after_any_call_is_told_truly_and_completed(host: &impl Host) {
    let provider = host.provider();
    let ours = ours();
    let complete: Content = content(&host.seed()).union(&content(&ours)).cloned().collect();
    for cut in [Cut::Before, Cut::After] {
        let mut cuts = 0;
        for after in 0..MOST_CALLS {
            host.cut(after, cut);
            let outcome = apply(&*provider, &ours).await;
            let was_cut = !host.is_to_cut();
            host.mend();
            let now = host.content().await;
            match outcome {
                Ok(_) => assert_eq!(now, complete, "{cut:?} after {after}"),
                Err(stopped) => {
                    assert_eq!(stopped.error.refusal, Refusal::Unreachable, "{cut:?} after {after}");
                    match stopped.done {
                        Done::Nothing => assert_eq!(now, content(&host.seed()), "{cut:?} after {after}"),
                        Done::Unknown if host.is_atomic() => {
                            assert!(now == complete || now == content(&host.seed()));
                        }
                        // One by one: those that were before it, and perhaps the one whose answer was lost.
                        Done::Unknown => {
                            assert!(now.is_subset(&complete) && now.is_superset(&content(&host.seed())));
                        }
                        Done::UnderWay => panic!("none of these takes its time"),
                        Done::Steps(written) => {
                            assert!(!host.is_atomic(), "all or nothing was asked for");
                            let done = written.iter().map(|written| &ours[usize::from(written.step)]);
                            let expected = content(host.seed().iter().chain(done));
                            assert_eq!(now, expected, "{cut:?} after {after}");
                        }
                    }
                }
            }
            apply(&*provider, &ours).await.unwrap();
            assert_eq!(host.content().await, complete);
            for ours in &ours {
                host.take(ours).await;
            }
            assert_eq!(host.content().await, content(&host.seed()));
            if !was_cut {
                break;
            }
            cuts += 1;
        }
        assert!((3..MOST_CALLS).contains(&cuts), "a run has some calls: {cuts}");
    }
}
