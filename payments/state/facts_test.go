package state

import "time"

// What the tests of this package speak in: an invoice of 1,000 dram, two attempts, times in minutes.
var (
	owed = Money{100_000, "AMD"}
	noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
)

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

func amd(minor int64) Money { return Money{minor, "AMD"} }

func started(attempt string, seq int) Fact {
	return Fact{Kind: Started, At: at(seq), Attempt: attempt, Seq: seq, Amount: owed}
}

func saw(attempt string, status AttemptStatus) Fact {
	return Fact{Kind: Observed, At: at(5), Attempt: attempt, Status: status}
}

func paid(attempt string, minute int, amount Money) Fact {
	return Fact{Kind: Observed, At: at(minute), Attempt: attempt, Status: AttemptPaid, Amount: amount}
}

func foreign(f Fact) Fact {
	f.Foreign = true
	return f
}

func back(attempt string, minute int, amount Money) Fact {
	return Fact{Kind: RefundTotal, At: at(minute), Attempt: attempt, Amount: amount}
}

func disputed(kind FactKind, attempt, ref string, amount Money) Fact {
	return Fact{Kind: kind, At: at(30), Attempt: attempt, Ref: ref, Amount: amount}
}

func over(minute int) Fact { return Fact{Kind: TimeOver, At: at(minute)} }

func withdrawn() Fact { return Fact{Kind: Withdrawn, At: at(8)} }

func received(ref string, minute int, amount Money) Fact {
	return Fact{Kind: Received, At: at(minute), Ref: ref, Amount: amount}
}

func reversed(ref string) Fact { return Fact{Kind: Reversed, At: at(40), Ref: ref} }

func resolved(attempt string, d Decision) Fact {
	return Fact{Kind: Resolved, At: at(50), Attempt: attempt, Decision: d}
}

func unresolved(attempt string) Fact { return Fact{Kind: Unresolved, At: at(55), Attempt: attempt} }
