package state

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// looks is the part of a picture that a table test names; reviews are the kinds that are open.
type looks struct {
	status                Status
	paid, refunded, owing int64
	reviews               []ReviewKind
}

func check(t *testing.T, want looks, facts ...Fact) {
	t.Helper()
	p := Fold(owed, facts)
	var kinds []ReviewKind
	for _, r := range p.Reviews {
		kinds = append(kinds, r.Kind)
	}
	require.Equal(t, want, looks{p.Status, p.Paid, p.Refunded, p.Outstanding, kinds})
}

func TestAnInvoiceFollowsItsAttempts(t *testing.T) {
	one := started("a", 1)
	two := started("b", 2)
	for _, c := range []struct {
		name  string
		want  looks
		facts []Fact
	}{
		{"nothing happened", looks{AwaitingPayment, 0, 0, 100_000, nil}, nil},
		{"started", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{one}},
		{"held", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{one, saw("a", Authorized)}},
		{"failed", looks{PaymentFailed, 0, 0, 100_000, nil}, []Fact{one, saw("a", AttemptFailed)}},
		{"failed, then tried again", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{one, saw("a", AttemptFailed), two}},
		{"failed, then given up", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{one, saw("a", AttemptFailed), two, saw("b", AttemptExpired)}},
		{"paid", looks{Paid, 100_000, 0, 0, nil}, []Fact{one, paid("a", 10, owed)}},
		{"paid after it failed", looks{Paid, 100_000, 0, 0, nil}, []Fact{one, saw("a", AttemptFailed), paid("a", 10, owed)}},
		{"paid by the second attempt", looks{Paid, 100_000, 0, 0, nil}, []Fact{one, saw("a", AttemptFailed), two, paid("b", 10, owed)}},
		{"paid in time, the link ended later", looks{Paid, 100_000, 0, 0, nil}, []Fact{one, paid("a", 10, owed), over(20)}},
		{"the link ended", looks{Expired, 0, 0, 100_000, nil}, []Fact{one, over(20)}},
		{"withdrawn", looks{Cancelled, 0, 0, 0, nil}, []Fact{one, withdrawn()}},
		{"withdrawn after the link ended", looks{Cancelled, 0, 0, 0, nil}, []Fact{one, over(4), withdrawn()}},
		{"a refund of nothing we know", looks{AwaitingPayment, 0, 0, 100_000, nil}, []Fact{back("z", 9, amd(500))}},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.want, c.facts...) })
	}
}

func TestMoneyThatNeedsAPerson(t *testing.T) {
	half, more := amd(50_000), amd(100_001)
	usd := Money{100_000, "USD"}
	first := []Fact{started("a", 1), paid("a", 10, owed)}
	for _, c := range []struct {
		kind                               ReviewKind
		facts                              []Fact
		open, accepted, forgiven, sentBack looks
		attempt                            string
		amount                             Money
	}{
		{WrongAmount, []Fact{started("a", 1), paid("a", 10, half)},
			looks{paid: 50_000, owing: 100_000}, looks{AwaitingPayment, 50_000, 0, 50_000, nil},
			looks{Paid, 50_000, 0, 0, nil}, looks{Refunded, 50_000, 50_000, 0, nil}, "a", half},
		{WrongAmount, []Fact{started("a", 1), paid("a", 10, more)},
			looks{paid: 100_001, owing: 100_000}, looks{Paid, 100_001, 0, 0, nil},
			looks{Paid, 100_001, 0, 0, nil}, looks{Refunded, 100_001, 100_001, 0, nil}, "a", more},
		{WrongCurrency, []Fact{started("a", 1), paid("a", 10, usd)},
			looks{owing: 100_000}, looks{AwaitingPayment, 0, 0, 100_000, nil},
			looks{Paid, 0, 0, 0, nil}, looks{AwaitingPayment, 0, 0, 100_000, nil}, "a", usd},
		{WrongMerchant, []Fact{started("a", 1), foreign(paid("a", 10, owed))},
			looks{paid: 100_000, owing: 100_000}, looks{Paid, 100_000, 0, 0, nil},
			looks{Paid, 100_000, 0, 0, nil}, looks{Refunded, 100_000, 100_000, 0, nil}, "a", owed},
		{SecondPayment, append([]Fact{started("b", 2), paid("b", 11, owed)}, first...),
			looks{paid: 200_000}, looks{Paid, 200_000, 0, 0, nil},
			looks{Paid, 200_000, 0, 0, nil}, looks{Paid, 200_000, 100_000, 0, nil}, "b", owed},
		{PaidAfterCancel, append([]Fact{withdrawn()}, first...),
			looks{paid: 100_000}, looks{Paid, 100_000, 0, 0, nil},
			looks{Paid, 100_000, 0, 0, nil}, looks{Refunded, 100_000, 100_000, 0, nil}, "a", owed},
		{PaidAfterExpiry, append([]Fact{over(10)}, first...),
			looks{paid: 100_000, owing: 100_000}, looks{Paid, 100_000, 0, 0, nil},
			looks{Paid, 100_000, 0, 0, nil}, looks{Refunded, 100_000, 100_000, 0, nil}, "a", owed},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			c.open.status, c.open.reviews = ManualReview, []ReviewKind{c.kind}
			check(t, c.open, c.facts...)
			check(t, c.accepted, append(c.facts, resolved(c.attempt, Accept))...)
			check(t, c.forgiven, append(c.facts, resolved(c.attempt, WriteOff))...)
			check(t, c.forgiven, append(c.facts, resolved(c.attempt, WriteOff), resolved(c.attempt, Accept))...)
			again := func(d Decision) Fact {
				f := resolved(c.attempt, d)
				f.Ref = "again"
				return f
			}
			check(t, c.open, append(c.facts, resolved(c.attempt, Accept), unresolved(c.attempt))...)
			check(t, c.open, append(c.facts, unresolved(c.attempt), resolved(c.attempt, WriteOff))...)
			check(t, c.accepted, append(c.facts, resolved(c.attempt, WriteOff), unresolved(c.attempt), again(Accept))...)
			check(t, c.forgiven, append(c.facts, again(WriteOff), resolved(c.attempt, Accept), unresolved(c.attempt))...)
			check(t, c.accepted, append(c.facts, resolved(c.attempt, Accept), unresolved("another"))...)
			check(t, c.sentBack, append(c.facts, back(c.attempt, 20, c.amount))...)
			part := c.open
			if c.amount.Currency == owed.Currency {
				part.refunded = 1_000
			}
			check(t, part, append(c.facts, back(c.attempt, 20, Money{1_000, c.amount.Currency}))...)
			require.Equal(t, []Review{{c.kind, c.attempt, c.amount}}, Fold(owed, c.facts).Reviews)
		})
	}
}

func TestMoneyOfAnotherCurrencyNeverCounts(t *testing.T) {
	usd := Money{100_000, "USD"}
	pay := []Fact{started("a", 1), paid("a", 10, owed)}
	check(t, looks{Paid, 100_000, 0, 0, nil}, append(pay, back("a", 20, usd))...)
	check(t, looks{Paid, 100_000, 0, 0, nil}, append(pay, disputed(DisputeLost, "a", "d", usd))...)
	check(t, looks{AwaitingPayment, 0, 0, 100_000, nil}, received("m", 10, usd))
	foreignPay := []Fact{started("a", 1), paid("a", 10, usd), resolved("a", WriteOff)}
	check(t, looks{Paid, 0, 0, 0, nil}, foreignPay...)
	check(t, looks{AwaitingPayment, 0, 0, 100_000, nil}, append(foreignPay, back("a", 20, usd))...)
}

func TestPaidWithoutAnAmountNeedsAPerson(t *testing.T) {
	check(t, looks{ManualReview, 0, 0, 100_000, []ReviewKind{WrongCurrency}}, started("a", 1), paid("a", 10, Money{}))
	check(t, looks{ManualReview, 0, 0, 100_000, []ReviewKind{WrongAmount}}, started("a", 1), paid("a", 10, amd(0)))
}

func TestRefundsInPartsAddUp(t *testing.T) {
	pay := []Fact{started("a", 1), paid("a", 10, owed)}
	check(t, looks{PartiallyRefunded, 100_000, 30_000, 0, nil}, append(pay, back("a", 20, amd(30_000)))...)
	check(t, looks{PartiallyRefunded, 100_000, 70_000, 0, nil}, append(pay, back("a", 25, amd(70_000)), back("a", 20, amd(30_000)))...)
	check(t, looks{Refunded, 100_000, 100_000, 0, nil}, append(pay, back("a", 30, owed), back("a", 20, amd(30_000)))...)
	p := Fold(owed, append(pay, back("a", 30, owed), back("a", 20, amd(30_000))))
	require.Equal(t, at(10), p.PaidAt)
	require.Equal(t, at(30), p.RefundedAt)
	require.Equal(t, "a", p.PaidBy)
	// an acquirer reports a reversal as cancelled with all money back, whether it had been captured or only held
	reversal := []Fact{started("a", 1), saw("a", AttemptCancelled), back("a", 30, owed)}
	check(t, looks{AwaitingPayment, 0, 0, 100_000, nil}, reversal...)
	check(t, looks{Refunded, 100_000, 100_000, 0, nil}, append(reversal, paid("a", 10, owed))...)
}

func TestARefundThatFailsCountsNoMore(t *testing.T) {
	failed := func(ref string, amount Money) Fact {
		return Fact{Kind: RefundFailed, At: at(40), Attempt: "a", Ref: ref, Amount: amount}
	}
	pay := []Fact{started("a", 1), paid("a", 10, owed), back("a", 20, amd(70_000))}
	check(t, looks{PartiallyRefunded, 100_000, 40_000, 0, nil}, append(pay, failed("r1", amd(30_000)))...)
	check(t, looks{Paid, 100_000, 0, 0, nil}, append(pay, failed("r1", amd(30_000)), failed("r2", amd(40_000)))...)
	check(t, looks{PartiallyRefunded, 100_000, 70_000, 0, nil}, append(pay, failed("r1", amd(30_000)), back("a", 50, owed))...)
	check(t, looks{Refunded, 100_000, 100_000, 0, nil}, append(pay, failed("r1", amd(30_000)), back("a", 50, amd(130_000)))...)
	check(t, looks{Paid, 100_000, 0, 0, nil}, started("a", 1), paid("a", 10, owed), failed("never counted", amd(30_000)))
	check(t, looks{PartiallyRefunded, 100_000, 70_000, 0, nil}, append(pay, failed("r1", Money{30_000, "USD"}))...)
	require.EqualValues(t, 30_000, Fold(owed, append(pay, failed("r1", amd(30_000)))).Attempts[0].Failed)
}

func TestADisputeShowsUntilItCloses(t *testing.T) {
	pay := []Fact{started("a", 1), paid("a", 10, owed), disputed(DisputeOpened, "a", "d", owed)}
	check(t, looks{Disputed, 100_000, 0, 0, nil}, pay...)
	check(t, looks{Paid, 100_000, 0, 0, nil}, append(pay, disputed(DisputeWon, "a", "d", Money{}))...)
	check(t, looks{Refunded, 100_000, 100_000, 0, nil}, append(pay, disputed(DisputeLost, "a", "d", owed))...)
	lost := append(pay, disputed(DisputeLost, "a", "d", amd(40_000)), back("a", 20, amd(30_000)))
	check(t, looks{PartiallyRefunded, 100_000, 70_000, 0, nil}, append(lost, disputed(DisputeLost, "a", "d", amd(40_000)))...)
	check(t, looks{Disputed, 100_000, 70_000, 0, nil}, append(lost, disputed(DisputeOpened, "a", "e", amd(10_000)))...)
	second := []Fact{started("b", 2), paid("b", 11, owed)}
	check(t, looks{ManualReview, 200_000, 0, 0, []ReviewKind{SecondPayment}}, append(pay, second...)...)
}

func TestMoneyReceivedOutsideCountsUntilReversed(t *testing.T) {
	part, rest := received("m1", 5, amd(40_000)), received("m2", 6, amd(60_000))
	check(t, looks{AwaitingPayment, 40_000, 0, 60_000, nil}, part, part)
	check(t, looks{Paid, 100_000, 0, 0, nil}, part, rest)
	check(t, looks{AwaitingPayment, 40_000, 0, 60_000, nil}, part, rest, reversed("m2"))
	check(t, looks{AwaitingPayment, 0, 0, 100_000, nil}, reversed("m1"), part)
	check(t, looks{Expired, 40_000, 0, 60_000, nil}, part, over(20))
	check(t, looks{ManualReview, 140_000, 0, 60_000, []ReviewKind{SecondPayment}}, part, started("a", 1), paid("a", 10, owed))
	remainder := started("a", 1)
	remainder.Amount = amd(60_000)
	check(t, looks{Paid, 100_000, 0, 0, nil}, part, remainder, paid("a", 10, amd(60_000)))
	require.Empty(t, Fold(owed, []Fact{part, rest}).PaidBy)
	require.Equal(t, at(6), Fold(owed, []Fact{rest, part}).PaidAt)
}

func TestTheNewestPaymentGivesTheReference(t *testing.T) {
	p := Fold(owed, []Fact{started("b", 2), started("a", 1), paid("b", 12, owed), paid("a", 10, owed), saw("c", Authorized)})
	require.Equal(t, "b", p.PaidBy)
	require.Equal(t, at(12), p.PaidAt)
	require.True(t, p.Authorized)
	ids := []string{}
	for _, a := range p.Attempts {
		ids = append(ids, a.ID)
	}
	require.Equal(t, []string{"c", "a", "b"}, ids, "by number within the invoice")
}
