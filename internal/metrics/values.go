package metrics

// Values of the label outcome of grantor_store_errors_total, and of the member outcome of a 503.
const (
	OutcomeNotDone      = "not_done"      // nothing was changed
	OutcomeNotConfirmed = "not_confirmed" // done, and too few replicas confirmed it
	OutcomeUnknown      = "unknown"       // the answer was lost
)

// Values of the label result of grantor_feed_polls_total.
const (
	PollIdle        = "idle"        // held, and nothing ended
	PollEnded       = "ended"       // names ended
	PollPage        = "page"        // more follows
	PollReset       = "reset"       // the position asked from is unknown
	PollGone        = "gone"        // the verifier hung up
	PollUnavailable = "unavailable" // 503
)

// Values of the label result of grantor_refreshes_total.
const (
	RefreshRotated      = "rotated"          // the usual case
	RefreshRetried      = "retried"          // the same answer again
	RefreshSuspicious   = "retry_suspicious" // the same answer again, to another network or much later
	RefreshReissued     = "reissued"         // a retry that came too late through an outage: a new pair
	RefreshReuse        = "reuse"            // a used token came again: the session was ended
	RefreshRotationLost = "rotation_lost"    // Redis lost a rotation: the session was ended
	RefreshRefused      = "refused"          // all else
)
