package state

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var paidMeaning = []Status{Paid, PartiallyRefunded, Refunded, Disputed, ManualReview}

// anyFact draws facts as wild as the folding must bear: no Started before it, contradicting references, any currency.
func anyFact(kinds ...FactKind) *rapid.Generator[Fact] {
	if len(kinds) == 0 {
		kinds = everyKind
	}
	return rapid.Custom(func(t *rapid.T) Fact {
		f := Fact{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), At: at(rapid.IntRange(0, 30).Draw(t, "minute"))}
		f.Attempt = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "attempt")
		f.Ref = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "ref")
		f.Amount = rapid.SampledFrom([]Money{owed, amd(50_000), amd(1), {100_000, "USD"}, {250_000, "RUB"}, {}}).Draw(t, "amount")
		f.Seq = rapid.IntRange(1, 3).Draw(t, "seq")
		f.Status = rapid.SampledFrom(AttemptStatuses).Draw(t, "status")
		f.Foreign = rapid.Bool().Draw(t, "foreign")
		f.Decision = rapid.SampledFrom([]Decision{Accept, NotOurs, WriteOff}).Draw(t, "decision")
		return f
	})
}

func sameCurrency(facts []Fact, f Fact) bool {
	return !slices.ContainsFunc(facts, func(g Fact) bool {
		return g.Attempt == f.Attempt && g.Amount.Currency != f.Amount.Currency
	})
}

func TestOrderAndRepetitionOfFactsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact(), 0, 14).Draw(t, "facts")
		want := Fold(owed, facts)
		shuffled := rapid.Permutation(facts).Draw(t, "order")
		if len(facts) > 0 {
			again := rapid.SliceOf(rapid.SampledFrom(facts)).Draw(t, "repeated")
			shuffled = rapid.Permutation(append(slices.Clone(shuffled), again...)).Draw(t, "order with repetition")
		}
		if got := Fold(owed, shuffled); !reflect.DeepEqual(want, got) {
			t.Fatalf("want %+v\n got %+v", want, got)
		}
	})
}

func TestEveryPictureIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact(), 0, 14).Draw(t, "facts")
		if flaw := flawOf(Fold(owed, facts), facts); flaw != "" {
			t.Fatal(flaw)
		}
	})
}

// flawOf says which promise a picture breaks; empty when none.
func flawOf(p Picture, facts []Fact) string {
	money := slices.ContainsFunc(facts, func(f Fact) bool {
		return f.Kind == Received || f.Kind == MovedIn || (f.Kind == Observed && f.Status == AttemptPaid)
	})
	opened := slices.ContainsFunc(facts, func(f Fact) bool { return f.Kind == DisputeOpened })
	switch {
	case p.Outstanding < 0 || p.Outstanding > owed.Minor || p.Paid < 0 || p.Refunded < 0:
		return "an impossible amount"
	case !slices.Contains(Statuses, p.Status):
		return "no status"
	case (len(p.Reviews) > 0) != (p.Status == ManualReview):
		return "reviews and status disagree"
	case !money && (p.Paid != 0 || !p.PaidAt.IsZero() || p.Refunded != 0 || !p.RefundedAt.IsZero() || p.PaidBy != ""):
		return "money out of nothing"
	case !money && slices.Contains(paidMeaning, p.Status) && (p.Status != Disputed || !opened):
		return "a status that means paid while nothing was taken"
	case p.Status == Paid && p.Outstanding != 0:
		return "paid, yet something is outstanding"
	}
	return ""
}

func TestPaidIsNeverOverwrittenByALesserFact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact(), 1, 12).Draw(t, "facts")
		before := Fold(owed, facts)
		lesser := anyFact(Observed, Started).Filter(func(f Fact) bool { return f.Kind == Observed && f.Status != AttemptPaid }).Draw(t, "lesser")
		after := Fold(owed, append(slices.Clone(facts), lesser))
		if slices.Contains(paidMeaning, before.Status) {
			after.Attempts, after.Authorized = before.Attempts, before.Authorized
			if !reflect.DeepEqual(before, after) {
				t.Fatalf("%+v became %+v", before, after)
			}
		}
		for _, a := range before.Attempts {
			i := slices.IndexFunc(after.Attempts, func(b AttemptPicture) bool { return a.ID == b.ID })
			a.undone, a.Voided = after.Attempts[i].undone, after.Attempts[i].Voided // that the bank undid it is added, and erases nothing
			if a.Status == AttemptPaid && !reflect.DeepEqual(a, after.Attempts[i]) {
				t.Fatalf("%+v became %+v", a, after.Attempts[i])
			}
		}
	})
}

func TestMoneyOnlyGrowsUntilAPersonReverses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact(), 0, 12).Draw(t, "facts")
		more := anyFact().Draw(t, "more")
		// An acquirer takes one attempt's money in one currency, and a dispute or a person's deed has one currency, too; two would
		// be contradicting evidence, not more of it.
		if more.Kind == Reversed || more.Kind == RefundFailed || more.Kind == Resolved && more.Decision == NotOurs || more.Kind == GivenBackUndone || more.Kind == MovedOut || more.Kind == MoveUndone || more.Kind == Observed && !sameCurrency(facts, more) ||
			slices.ContainsFunc(facts, func(f Fact) bool {
				return f.Ref == more.Ref && (more.Kind == Received || f.Kind == more.Kind && f.Amount.Currency != more.Amount.Currency)
			}) {
			t.Skip("takes back, or contradicts")
		}
		before, after := Fold(owed, facts), Fold(owed, append(slices.Clone(facts), more))
		if after.Paid < before.Paid || after.Refunded < before.Refunded {
			t.Fatalf("%+v shrank to %+v", before, after)
		}
	})
}

func TestMoneyOfAnotherCurrencyIsNeverInTheSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact().Filter(func(f Fact) bool { return f.Amount.Currency != owed.Currency }), 0, 14).Draw(t, "facts")
		p := Fold(owed, facts)
		if p.Paid != 0 || p.Refunded != 0 || (p.Status == Paid && !slices.ContainsFunc(facts, func(f Fact) bool { return f.Decision == WriteOff })) {
			t.Fatalf("%+v", p)
		}
	})
}

func TestJoinIsAssociativeCommutativeAndIdempotent(t *testing.T) {
	for _, a := range AttemptStatuses {
		if a.Join(a) != a {
			t.Errorf("%s with itself", a)
		}
		for _, b := range AttemptStatuses {
			if a.Join(b) != b.Join(a) {
				t.Errorf("%s and %s differ by order", a, b)
			}
			for _, c := range AttemptStatuses {
				if a.Join(b).Join(c) != a.Join(b.Join(c)) {
					t.Errorf("%s, %s, %s differ by grouping", a, b, c)
				}
			}
		}
	}
}
