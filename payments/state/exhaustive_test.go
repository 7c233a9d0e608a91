package state

import (
	"math/bits"
	"reflect"
	"sync/atomic"
	"testing"
)

// alphabet is one of each sort of fact about an invoice with two attempts.
var alphabet = []Fact{
	started("a", 1), started("b", 2),
	saw("a", Authorized), saw("a", AttemptFailed),
	paid("a", 10, owed), paid("b", 15, owed), paid("b", 12, amd(50_000)),
	back("a", 20, amd(30_000)), disputed(DisputeOpened, "a", "d", owed), disputed(DisputeLost, "a", "d", owed),
	over(11), withdrawn(), received("m", 5, amd(50_000)), resolved("b", Accept),
}

const longest = 5

// TestEverySequenceOfFactsEndsLikeItsSet goes through all sequences up to the longest. That leaves the sets to be
// judged, and all of them are, so the promises of flawOf hold for sequences of any length over this alphabet.
func TestEverySequenceOfFactsEndsLikeItsSet(t *testing.T) {
	sets := make([]*Picture, 1<<len(alphabet))
	for set := range sets {
		var facts []Fact
		for i := range alphabet {
			if set&(1<<i) != 0 {
				facts = append(facts, alphabet[i])
			}
		}
		p := Fold(owed, facts)
		if flaw := flawOf(p, facts); flaw != "" {
			t.Fatalf("%s: %+v of %+v", flaw, p, facts)
		}
		if bits.OnesCount(uint(set)) <= longest {
			sets[set] = &p
		}
	}
	var sequences atomic.Int64
	var walk func(t *testing.T, facts []Fact, set int)
	walk = func(t *testing.T, facts []Fact, set int) {
		sequences.Add(1)
		if p := Fold(owed, facts); !reflect.DeepEqual(p, *sets[set]) {
			t.Fatalf("%+v\ngives %+v\nand not %+v", facts, p, *sets[set])
		}
		if len(facts) == longest {
			return
		}
		for i := range alphabet {
			walk(t, append(facts, alphabet[i]), set|1<<i)
		}
	}
	t.Run("beginning with", func(t *testing.T) {
		for i, first := range alphabet {
			t.Run(string(first.Kind), func(t *testing.T) {
				t.Parallel()
				walk(t, append(make([]Fact, 0, longest), first), 1<<i)
			})
		}
	})
	t.Logf("%d sequences of %d facts, %d sets", sequences.Load(), len(alphabet), len(sets))
}
