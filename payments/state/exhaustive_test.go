package state

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// alphabet has every kind of fact, about an invoice with three attempts.
var alphabet = []Fact{
	started("a", 1), started("b", 2),
	saw("a", Authorized), saw("a", AttemptCancelled),
	paid("a", 10, owed), paid("b", 15, owed), paid("b", 12, amd(50_000)), foreign(paid("c", 14, Money{500, "USD"})),
	paid("a", 13, owed), back("a", 20, amd(30_000)),
	disputed(DisputeOpened, "a", "d", amd(40_000)), disputed(DisputeWon, "a", "d", Money{}), disputed(DisputeLost, "a", "d", amd(40_000)),
	over(11), over(12), withdrawn(), received("m", 5, amd(50_000)), reversed("m"), resolved("b", Accept), resolved("a", WriteOff), unresolved("a"),
	{Kind: RefundFailed, At: at(21), Attempt: "a", Ref: "f", Amount: amd(10_000)},
	{Kind: GivenBack, At: at(31), Attempt: "a", Ref: "g", Amount: amd(20_000)},
	{Kind: GivenBackUndone, At: at(35), Attempt: "a", Ref: "g"},
	{Kind: MovedOut, At: at(32), Attempt: "a", Ref: "v", Amount: amd(60_000)}, {Kind: MoveUndone, At: at(34), Ref: "v"},
	{Kind: MovedIn, At: at(33), Ref: "w", Amount: amd(50_000)},
}

// every kind of fact; a new one has to come into the alphabet.
var everyKind = []FactKind{Started, Observed, RefundTotal, RefundFailed, DisputeOpened, DisputeWon, DisputeLost, TimeOver,
	Withdrawn, Received, Reversed, Resolved, Unresolved, GivenBack, GivenBackUndone, MovedOut, MovedIn, MoveUndone}

const longest = 6

func (set subset) facts() []Fact {
	facts := make([]Fact, len(set))
	for i, n := range set {
		facts[i] = alphabet[n]
	}
	return facts
}

// subset holds numbers of facts of the alphabet, in its order.
type subset []int

// subsets calls do with every subset of the alphabet of at most so many facts.
func subsets(most int, do func(set subset)) {
	var walk func(set subset)
	walk = func(set subset) {
		do(set)
		first := 0
		if len(set) > 0 {
			first = set[len(set)-1] + 1
		}
		for n := first; n < len(alphabet) && len(set) < most; n++ {
			walk(append(slices.Clip(set), n))
		}
	}
	walk(nil)
}

// gathered is what is known after these facts, before a picture is made of it.
func gathered(facts []Fact) *tally {
	t := newTally(owed)
	for _, f := range facts {
		t.add(f)
	}
	return t
}

// same is reflect.DeepEqual for what is known, and fast.
func same(a, b *tally) bool {
	return a.amount == b.amount && a.withdrawn == b.withdrawn && a.over.Equal(b.over) && maps.Equal(a.back, b.back) && maps.Equal(a.failed, b.failed) && maps.Equal(a.received, b.received) &&
		maps.Equal(a.reversed, b.reversed) && maps.Equal(a.opened, b.opened) && maps.Equal(a.closed, b.closed) && maps.Equal(a.lost, b.lost) &&
		maps.Equal(a.given, b.given) && maps.Equal(a.regained, b.regained) && maps.Equal(a.moves, b.moves) && maps.Equal(a.arrived, b.arrived) && maps.Equal(a.undone, b.undone) &&
		maps.Equal(a.decided, b.decided) && maps.Equal(a.recalled, b.recalled) &&
		maps.EqualFunc(a.attempts, b.attempts, func(x, y *AttemptPicture) bool { return *x == *y })
}

func TestTheAlphabetHasEveryKindOfFact(t *testing.T) {
	if n := reflect.TypeOf(tally{}).NumField(); n != 18 {
		t.Errorf("%d fields are known: compare them all", n)
	}
	for _, kind := range everyKind {
		if !slices.ContainsFunc(alphabet, func(f Fact) bool { return f.Kind == kind }) {
			t.Errorf("no %s", kind)
		}
	}
}

// TestEverySequenceOfFactsEndsLikeItsSet takes each fact out of every set of at most six and adds it last, and then once
// more: that gives what is known after the set in the alphabet's order. By induction every sequence of up to six facts, in
// any order and with any repetition, ends like its set, and so do its picture and its money, which are made of nothing else.
func TestEverySequenceOfFactsEndsLikeItsSet(t *testing.T) {
	for half := range 2 { // two at a time
		t.Run("", func(t *testing.T) {
			t.Parallel()
			sets, steps := 0, 0
			subsets(longest, func(set subset) {
				if sets++; sets%2 != half {
					return
				}
				facts := set.facts()
				want := gathered(facts)
				for i, f := range facts {
					got := gathered(append(append(make([]Fact, 0, longest), facts[:i]...), facts[i+1:]...))
					for range 2 {
						steps++
						got.add(f)
						if !same(want, got) {
							t.Fatalf("%+v\nwith %+v last\ngives %+v\nand not %+v", facts, f, got, want)
						}
					}
				}
			})
			t.Logf("%d steps", steps)
		})
	}
}

// TestEverySetOfFactsKeepsItsPromises judges the picture of every set of up to six facts, and counts its money in
// another way.
func TestEverySetOfFactsKeepsItsPromises(t *testing.T) {
	subsets(longest, func(set subset) {
		facts := set.facts()
		p := Fold(owed, facts)
		if flaw := flawOf(p, facts); flaw != "" {
			t.Fatalf("%s: %+v of %+v", flaw, p, facts)
		}
		if paid, back := counted(facts); paid != p.Paid || back != p.Refunded {
			t.Fatalf("paid %d and %d back: %+v of %+v", paid, back, p, facts)
		}
	})
}

// counted is the money of these facts of the alphabet in the invoice's currency: what came, and what went back.
func counted(facts []Fact) (paid, back int64) {
	has := func(kind FactKind, attempt, ref string) bool {
		return slices.ContainsFunc(facts, func(f Fact) bool { return f.Kind == kind && f.Attempt == attempt && f.Ref == ref })
	}
	taken, returned := map[string]int64{}, map[string]int64{}
	for _, f := range facts {
		switch {
		case f.Kind == Observed && f.Status == AttemptPaid && f.Amount.Currency == owed.Currency:
			taken[f.Attempt] = max(taken[f.Attempt], f.Amount.Minor)
		case f.Kind == RefundTotal && has(RefundFailed, f.Attempt, "f"):
			returned[f.Attempt] += f.Amount.Minor - 10_000
		case f.Kind == RefundTotal, f.Kind == GivenBack && !has(GivenBackUndone, f.Attempt, f.Ref), f.Kind == DisputeLost:
			returned[f.Attempt] += f.Amount.Minor
		case f.Kind == Received && !has(Reversed, "", f.Ref), f.Kind == MovedIn && !has(MoveUndone, "", f.Ref):
			paid += f.Amount.Minor
		}
	}
	for attempt, minor := range taken {
		paid += minor
		back += returned[attempt]
		if attempt == "a" && has(MovedOut, "a", "v") && !has(MoveUndone, "", "v") {
			paid -= 60_000
		}
	}
	return paid, back
}
