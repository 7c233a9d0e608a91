package ledger_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	owed = state.Money{Minor: 100_000, Currency: "AMD"}
	noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
)

func amd(minor int64) state.Money { return state.Money{Minor: minor, Currency: "AMD"} }

func usd(minor int64) state.Money { return state.Money{Minor: minor, Currency: "USD"} }

// anyFact draws facts as wild as the fold bears: unknown attempts, contradictions, any currency or none.
var anyFact = rapid.Custom(func(t *rapid.T) state.Fact {
	return state.Fact{
		Kind: rapid.SampledFrom([]state.FactKind{state.Started, state.Observed, state.RefundTotal, state.RefundFailed, state.DisputeOpened, state.DisputeWon,
			state.DisputeLost, state.TimeOver, state.Withdrawn, state.Received, state.Reversed, state.Resolved, state.Unresolved,
			state.GivenBack, state.GivenBackUndone, state.MovedOut, state.MovedIn, state.MoveUndone}).Draw(t, "kind"),
		At:       noon.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minute")) * time.Minute),
		Attempt:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "attempt"),
		Ref:      rapid.SampledFrom([]string{"x", "y"}).Draw(t, "ref"),
		Amount:   rapid.SampledFrom([]state.Money{owed, amd(50_000), amd(1), usd(100_000), {Minor: 7}, {Minor: 9, Currency: "amd"}, {}}).Draw(t, "amount"),
		Seq:      rapid.IntRange(1, 3).Draw(t, "seq"),
		Status:   rapid.SampledFrom(append([]state.AttemptStatus{state.AttemptPaid, state.AttemptPaid}, state.AttemptStatuses...)).Draw(t, "status"),
		Foreign:  rapid.Bool().Draw(t, "foreign"),
		Decision: rapid.SampledFrom([]state.Decision{state.Accept, state.NotOurs, state.WriteOff}).Draw(t, "decision"),
	}
})

type balance struct {
	account  Account
	currency string
}

// book is everything posted while facts came in one after the other.
func book(t require.TestingT, facts []state.Fact) map[balance]int64 {
	held := map[balance]int64{}
	before := state.Fold(owed, nil)
	for i := range facts {
		after := state.Fold(owed, facts[:i+1])
		for _, transaction := range Post(owed.Currency, before, after) {
			sums := map[string]int64{}
			require.GreaterOrEqual(t, len(transaction.Entries), 2)
			for _, e := range transaction.Entries {
				require.NotZero(t, e.Amount.Minor)
				require.Regexp(t, "^[A-Z]{3}$", e.Amount.Currency)
				sums[e.Amount.Currency] += e.Amount.Minor
				held[balance{e.Account, e.Amount.Currency}] += e.Amount.Minor
			}
			for currency, sum := range sums {
				require.Zero(t, sum, "%s is not balanced in %s", transaction.Kind, currency)
			}
		}
		before = after
	}
	for b, minor := range held {
		if minor == 0 {
			delete(held, b)
		}
	}
	return held
}

func TestTheLedgerSaysWhatTheFoldSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact, 0, 14).Draw(t, "facts")
		p, held := state.Fold(owed, facts), book(t, facts)
		home := func(account Account) int64 { return held[balance{account, owed.Currency}] }
		require.Equal(t, p.Paid+p.Forgiven, -home(Receivable))
		require.Equal(t, p.Refunded, home(CustomerRefunds)+home(Chargebacks))
		require.Equal(t, p.Forgiven, home(WriteOffs))
		var captured, back, disputed, lost, given, moved, unmatched, aside int64
		for _, a := range p.Attempts {
			if a.Status == state.AttemptPaid && a.Captured.Currency == owed.Currency {
				if a.NotOurs {
					unmatched += a.Captured.Minor - a.Moved - a.Refunded
					a.Lost, aside = 0, aside+a.Captured.Minor-a.Moved
				}
				captured, back, disputed, lost = captured+a.Captured.Minor, back+a.Refunded, disputed+a.Disputed, lost+a.Lost
				given, moved = given+a.Given, moved+a.Moved
			}
		}
		require.Equal(t, captured-(back-given)-disputed, home(Acquirer))
		require.Equal(t, disputed, home(Disputes))
		require.Equal(t, lost, home(Chargebacks))
		require.Equal(t, p.MovedIn-moved, home(Transfers))
		require.Equal(t, p.Paid+aside-(captured-moved)-p.MovedIn-given, home(Cash))
		require.Equal(t, unmatched, -home(Unmatched))
		for b := range held {
			if b.currency != owed.Currency {
				require.NotContains(t, []Account{Receivable, WriteOffs}, b.account)
			}
		}
	})
}

func TestOrderAndRepetitionOfFactsPostTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(anyFact, 1, 12).Draw(t, "facts")
		again := rapid.SliceOf(rapid.SampledFrom(facts)).Draw(t, "repeated")
		other := rapid.Permutation(append(slices.Clone(facts), again...)).Draw(t, "order")
		require.Equal(t, book(t, facts), book(t, other))
	})
}

func TestEachChangeHasItsTransaction(t *testing.T) {
	start := state.Fact{Kind: state.Started, At: noon, Attempt: "a", Seq: 1, Amount: owed}
	paid := func(m state.Money) state.Fact {
		return state.Fact{Kind: state.Observed, At: noon, Attempt: "a", Status: state.AttemptPaid, Amount: m}
	}
	about := func(kind state.FactKind, m state.Money) state.Fact {
		return state.Fact{Kind: kind, At: noon, Attempt: "a", Ref: "d", Amount: m}
	}
	resolved := state.Fact{Kind: state.Resolved, At: noon, Attempt: "a", Decision: state.WriteOff}
	alien := state.Fact{Kind: state.Resolved, At: noon, Attempt: "a", Decision: state.NotOurs}
	for _, c := range []struct {
		name  string
		facts []state.Fact // the last one is the change
		want  []Transaction
	}{
		{"nothing for a start", []state.Fact{start}, nil},
		{"a capture", []state.Fact{start, paid(owed)}, []Transaction{Move(Capture, "a", owed, Acquirer, Receivable)}},
		{"the same again", []state.Fact{start, paid(owed), paid(owed)}, nil},
		{"more of it", []state.Fact{start, paid(amd(40_000)), paid(owed)}, []Transaction{Move(Capture, "a", amd(60_000), Acquirer, Receivable)}},
		{"another currency", []state.Fact{start, paid(usd(500))}, []Transaction{Move(Capture, "a", usd(500), Acquirer, Unmatched)}},
		{"no currency", []state.Fact{start, paid(state.Money{Minor: 5})},
			[]Transaction{Move(Capture, "a", state.Money{Minor: 5, Currency: "XXX"}, Acquirer, Unmatched)}},
		{"a refund", []state.Fact{start, paid(owed), about(state.RefundTotal, amd(30_000))},
			[]Transaction{Move(Refund, "a", amd(30_000), CustomerRefunds, Acquirer)}},
		{"a refund that failed", []state.Fact{start, paid(owed), about(state.RefundTotal, amd(30_000)), about(state.RefundFailed, amd(30_000))},
			[]Transaction{Move(Refund, "a", amd(-30_000), CustomerRefunds, Acquirer)}},
		{"a refund seen before its payment", []state.Fact{start, about(state.RefundTotal, amd(30_000)), paid(owed)},
			[]Transaction{Move(Capture, "a", owed, Acquirer, Receivable), Move(Refund, "a", amd(30_000), CustomerRefunds, Acquirer)}},
		{"a dispute", []state.Fact{start, paid(owed), about(state.DisputeOpened, owed)},
			[]Transaction{Move(Chargeback, "a", owed, Disputes, Acquirer)}},
		{"a dispute won", []state.Fact{start, paid(owed), about(state.DisputeOpened, owed), about(state.DisputeWon, state.Money{})},
			[]Transaction{Move(ChargebackWon, "a", amd(-100_000), Disputes, Acquirer)}},
		{"a dispute lost", []state.Fact{start, paid(owed), about(state.DisputeOpened, owed), about(state.DisputeLost, owed)},
			[]Transaction{{ChargebackLost, "a", []Entry{{Chargebacks, owed}, {Disputes, amd(-100_000)}}}}},
		{"a refund by transfer", []state.Fact{start, paid(owed), about(state.GivenBack, amd(30_000))},
			[]Transaction{Move(RefundOutside, "a", amd(30_000), CustomerRefunds, Cash)}},
		{"its undoing", []state.Fact{start, paid(owed), about(state.GivenBack, amd(30_000)), about(state.GivenBackUndone, state.Money{})},
			[]Transaction{Move(RefundOutside, "a", amd(-30_000), CustomerRefunds, Cash)}},
		{"money that is not ours", []state.Fact{start, paid(owed), about(state.RefundTotal, amd(30_000)), alien},
			[]Transaction{{NotOurs, "a", []Entry{{Receivable, owed}, {Unmatched, amd(-70_000)}, {CustomerRefunds, amd(-30_000)}}}}},
		{"and goes back", []state.Fact{start, paid(owed), alien, about(state.RefundTotal, owed)}, []Transaction{Move(Refund, "a", owed, Unmatched, Acquirer)}},
		{"money moved to another invoice", []state.Fact{start, paid(owed), about(state.MovedOut, amd(30_000))},
			[]Transaction{Move(Moved, "a", amd(30_000), Receivable, Transfers)}},
		{"money of another currency moved", []state.Fact{start, paid(usd(500)), about(state.MovedOut, usd(500))},
			[]Transaction{Move(Moved, "a", usd(500), Unmatched, Transfers)}},
		{"money moved from another invoice", []state.Fact{{Kind: state.MovedIn, At: noon, Ref: "m", Amount: amd(30_000)}},
			[]Transaction{Move(Moved, "", amd(30_000), Transfers, Receivable)}},
		{"money received outside", []state.Fact{about(state.Received, amd(9_000))}, []Transaction{Move(Manual, "", amd(9_000), Cash, Receivable)}},
		{"its undoing", []state.Fact{about(state.Received, amd(9_000)), about(state.Reversed, state.Money{})},
			[]Transaction{Move(ManualReversed, "", amd(-9_000), Cash, Receivable)}},
		{"a difference forgiven", []state.Fact{start, paid(amd(99_000)), resolved}, []Transaction{Move(WriteOff, "", amd(1_000), WriteOffs, Receivable)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := len(c.facts) - 1
			got := Post(owed.Currency, state.Fold(owed, c.facts[:last]), state.Fold(owed, c.facts))
			require.ElementsMatch(t, entries(c.want), entries(got))
		})
	}
}

// entries lists entries with what they belong to: their order within a transaction means nothing.
func entries(all []Transaction) (lines []any) {
	type line struct {
		Kind    Kind
		Attempt string
		Entry   Entry
	}
	for _, t := range all {
		for _, e := range t.Entries {
			lines = append(lines, line{t.Kind, t.Attempt, e})
		}
	}
	return lines
}
