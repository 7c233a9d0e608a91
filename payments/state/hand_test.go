package state

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func given(attempt, ref string, minute int, amount Money) Fact {
	return Fact{Kind: GivenBack, At: at(minute), Attempt: attempt, Ref: ref, Amount: amount}
}

func movedOut(attempt, ref string, amount Money) Fact {
	return Fact{Kind: MovedOut, At: at(60), Attempt: attempt, Ref: ref, Amount: amount}
}

func movedIn(ref string, minute int, amount Money) Fact {
	return Fact{Kind: MovedIn, At: at(minute), Ref: ref, Amount: amount}
}

func regained(attempt, ref string) Fact {
	return Fact{Kind: GivenBackUndone, At: at(65), Attempt: attempt, Ref: ref}
}

func undone(ref string) Fact { return Fact{Kind: MoveUndone, At: at(70), Ref: ref} }

func TestWhatPeopleDoWithMoneyCounts(t *testing.T) {
	one, two := started("a", 1), started("b", 2)
	twice := []Fact{one, paid("a", 10, owed), two, paid("b", 15, owed)}
	with := func(facts []Fact, more ...Fact) []Fact { return append(append([]Fact{}, facts...), more...) }
	for _, c := range []struct {
		name  string
		want  looks
		facts []Fact
	}{
		{"given back in part by transfer", looks{PartiallyRefunded, 100_000, 40_000, 0, nil}, []Fact{one, paid("a", 10, owed), given("a", "r", 20, amd(40_000))}},
		{"given back in two parts", looks{Refunded, 100_000, 100_000, 0, nil}, []Fact{one, paid("a", 10, owed), given("a", "r", 20, amd(40_000)), given("a", "s", 30, amd(60_000))}},
		{"the same refund told twice", looks{PartiallyRefunded, 100_000, 40_000, 0, nil}, []Fact{one, paid("a", 10, owed), given("a", "r", 20, amd(40_000)), given("a", "r", 25, amd(40_000))}},
		{"a refund that was taken back", looks{Paid, 100_000, 0, 0, nil}, []Fact{one, paid("a", 10, owed), given("a", "r", 20, amd(40_000)), regained("a", "r")}},
		{"taken back before it was told", looks{Paid, 100_000, 0, 0, nil}, []Fact{one, paid("a", 10, owed), regained("a", "r"), given("a", "r", 20, amd(40_000))}},
		{"one of two taken back", looks{PartiallyRefunded, 100_000, 60_000, 0, nil}, []Fact{one, paid("a", 10, owed), given("a", "r", 20, amd(40_000)), given("a", "s", 15, amd(60_000)), regained("a", "r")}},
		{"by the acquirer and by hand", looks{Refunded, 100_000, 100_000, 0, nil}, []Fact{one, paid("a", 10, owed), back("a", 20, amd(30_000)), given("a", "r", 20, amd(70_000))}},
		{"a second payment given back by hand", looks{Paid, 200_000, 100_000, 0, nil}, with(twice, given("b", "r", 20, owed))},
		{"and that taken back", looks{ManualReview, 200_000, 0, 0, []ReviewKind{SecondPayment}}, with(twice, given("b", "r", 20, owed), regained("b", "r"))},
		{"a second payment moved elsewhere", looks{Paid, 100_000, 0, 0, nil}, with(twice, movedOut("b", "m", owed))},
		{"and moved back", looks{ManualReview, 200_000, 0, 0, []ReviewKind{SecondPayment}}, with(twice, movedOut("b", "m", owed), undone("m"))},
		{"a wrong amount moved elsewhere", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{one, paid("a", 10, amd(90_000)), movedOut("a", "m", amd(90_000))}},
		{"money for a cancelled link moved elsewhere", looks{Cancelled, 0, 0, 0, nil}, []Fact{one, withdrawn(), paid("a", 10, owed), movedOut("a", "m", owed)}},
		{"moved after a part went back", looks{Paid, 140_000, 40_000, 0, nil}, with(twice, back("b", 20, amd(40_000)), movedOut("b", "m", amd(60_000)))},
		{"given back by the acquirer after it was moved", looks{ManualReview, 100_000, 100_000, 0, []ReviewKind{RefundAfterMove}}, with(twice, movedOut("b", "m", owed), back("b", 30, owed))},
		{"and the move undone", looks{Paid, 200_000, 100_000, 0, nil}, with(twice, movedOut("b", "m", owed), back("b", 30, owed), undone("m"))},
		{"money from another invoice pays", looks{Paid, 100_000, 0, 0, nil}, []Fact{movedIn("m", 20, owed)}},
		{"and pays a part", looks{AwaitingPayment, 40_000, 0, 60_000, nil}, []Fact{movedIn("m", 20, amd(40_000))}},
		{"until it is moved back", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{movedIn("m", 20, owed), undone("m")}},
		{"a move of another currency counts nothing", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{movedIn("m", 20, Money{100, "USD"})}},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.want, c.facts...) })
	}
}

func TestTheTimeOfARefundIsThatOfTheNewestThatStands(t *testing.T) {
	facts := []Fact{started("a", 1), paid("a", 10, owed), given("a", "s", 15, amd(60_000)), given("a", "r", 20, amd(40_000))}
	require.Equal(t, at(20), Fold(owed, facts).RefundedAt)
	require.Equal(t, at(15), Fold(owed, append(facts, regained("a", "r"))).RefundedAt)
	require.Zero(t, Fold(owed, append(facts, regained("a", "r"), regained("a", "s"))).RefundedAt)
}

func TestMoneyThatIsNotOursCountsForNothing(t *testing.T) {
	alien := []Fact{started("a", 1), foreign(paid("a", 10, owed))}
	with := func(more ...Fact) []Fact { return append(append([]Fact{}, alien...), more...) }
	check(t, looks{ManualReview, 100_000, 0, 100_000, []ReviewKind{WrongMerchant}}, alien...)
	check(t, looks{AwaitingPayment, 0, 0, 100_000, nil}, with(resolved("a", NotOurs))...)
	check(t, looks{Paid, 100_000, 0, 0, nil}, with(resolved("a", NotOurs), started("b", 2), paid("b", 20, owed))...)
	check(t, looks{AwaitingPayment, 0, 0, 100_000, nil}, with(resolved("a", NotOurs), back("a", 20, owed))...)
	check(t, looks{ManualReview, 100_000, 0, 100_000, []ReviewKind{WrongMerchant}}, with(resolved("a", NotOurs), unresolved("a"))...)
	require.Zero(t, Fold(owed, with(resolved("a", NotOurs))).PaidAt)
}

func TestAPaymentTheBankUndidIsMarked(t *testing.T) {
	facts := []Fact{started("a", 1), paid("a", 10, owed), back("a", 20, owed)}
	require.False(t, Fold(owed, facts).Attempts[0].Voided, "a refund is no reversal")
	p := Fold(owed, append(facts, saw("a", AttemptCancelled)))
	require.True(t, p.Attempts[0].Voided)
	require.Equal(t, Refunded, p.Status)
	require.Equal(t, at(10), p.PaidAt, "what was paid stands")
	require.False(t, Fold(owed, []Fact{started("a", 1), saw("a", AttemptCancelled), back("a", 20, owed)}).Attempts[0].Voided, "nothing was ever taken")
}

func TestADisputeIsOpenUntilItIsDecided(t *testing.T) {
	facts := []Fact{started("a", 1), paid("a", 10, owed), disputed(DisputeOpened, "a", "d", owed)}
	ends := func(more ...Fact) []DisputePicture { return Fold(owed, append(facts, more...)).Disputes }
	require.Equal(t, []DisputePicture{{"a", "d", owed, DisputeOpened}}, ends())
	require.Equal(t, []DisputePicture{{"a", "d", owed, DisputeWon}}, ends(disputed(DisputeWon, "a", "d", Money{})))
	require.Equal(t, []DisputePicture{{"a", "d", owed, DisputeLost}}, ends(disputed(DisputeLost, "a", "d", owed), disputed(DisputeWon, "a", "d", Money{})))
}
