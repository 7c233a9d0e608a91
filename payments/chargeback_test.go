package payments_test

import (
	"context"
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

// informed is a till that tells of chargebacks by itself.
type informed struct{ *tilltest.Till }

func (i informed) Describe() payments.Description {
	d := i.Till.Describe()
	d.Disputes = true
	return d
}

func TestAChargebackOfARegisterIsFoundAndConfirmedOnce(t *testing.T) {
	s := newShop(t)
	in, a := s.Sold("1", 100_000)
	bring(s.Shop, "sale,"+a.Reference+",,1000,,2026-03-10", "chargeback,"+a.Reference+",,300,,2026-03-12", "chargeback,"+a.Reference+",,100,,2026-03-12")
	s.Clock = s.Clock.AddDate(0, 0, 3)
	r := reconcile(s.Shop, "2026-03-12")
	require.Equal(t, []string{"register chargeback_differs: 0.00 AMD / 400.00 AMD, open"}, found(s.Shop, r))
	require.Equal(t, state.Paid, s.Read(in.ID).Status, "nothing is booked without a person")

	accountant := payments.By{Actor: "user:9", Role: tenants.Accountant}
	confirm := func(by payments.By, reason string) (payments.Mismatch, error) {
		return s.Judge(t.Context(), s.ID, by, r.ID, 1, payments.Judgement{State: "confirmed", Reason: reason})
	}
	_, err := confirm(payments.By{Actor: "user:3", Role: tenants.Manager}, "x")
	require.ErrorIs(t, err, payments.ErrRole)
	_, err = confirm(accountant, " ")
	require.ErrorIs(t, err, payments.ErrInvalid)
	s.Providers["till"] = informed{s.Till}
	_, err = confirm(accountant, "x")
	require.ErrorContains(t, err, "chargeback_by_acquirer", "it would come a second time")
	s.Providers["till"] = s.Till

	m, err := confirm(accountant, "The bank's letter 17")
	require.NoError(t, err)
	require.Equal(t, [3]string{"closed", "The bank's letter 17", "user:9"}, [3]string{m.State, m.Reason, m.Owner})
	lost := map[string]int64{"acquirer:till AMD": 60_000, "chargebacks AMD": 40_000, "receivable AMD": -100_000}
	require.Equal(t, lost, balances(s.Shop, payments.Part{Invoice: in.ID}))
	after := s.Read(in.ID)
	require.Equal(t, [2]any{state.PartiallyRefunded, int64(40_000)}, [2]any{after.Status, after.Refunded})
	require.Equal(t, []string{payments.DisputeLost}, s.exceptions())
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var source, by, lines string
		err := tx.QueryRow(ctx, `SELECT evidence->>'source', evidence->>'by', evidence->>'reference' FROM facts WHERE kind = 'dispute_lost'`).Scan(&source, &by, &lines)
		require.Equal(t, [2]string{"register", "user:9"}, [2]string{source, by})
		require.Regexp(t, `^[0-9a-f-]{36}/3, [0-9a-f-]{36}/4$`, lines, "which lines of which register")
		return err
	})
	_, err = confirm(accountant, "Once more")
	require.ErrorIs(t, err, payments.ErrState)
	require.Empty(t, found(s.Shop, reconcile(s.Shop, "2026-03-13")), "the two agree")
	require.Equal(t, lost, balances(s.Shop, payments.Part{Invoice: in.ID}))

	all := movements(s.Shop, "2026-03-13", "2026-03-13")
	require.Len(t, all, 1)
	require.Equal(t, []any{int64(-40_000), "confirmed", "user:9", "The bank's letter 17", false},
		[]any{all[0].Amount, all[0].Decision, all[0].DecidedBy, all[0].DecisionReason, all[0].Operator()})
}

func TestAChargebackThatTheRegistersDoNotNameIsFound(t *testing.T) {
	s := tilltest.New(t)
	_, a := s.Sold("1", 100_000)
	lost := tilltest.Took(tilltest.AMD(100_000))
	lost.Disputes = []payments.Dispute{{Ref: "d", Amount: tilltest.AMD(70_000), Status: state.DisputeLost}}
	s.Learn(a, lost)
	bring(s, "sale,"+a.Reference+",,1000,,2026-03-10", "fee,,,1,,2026-03-14")
	s.Clock = s.Clock.AddDate(0, 0, 7)
	require.Empty(t, found(s, reconcile(s, "2026-03-14")), "it may still come")
	bring(s, "fee,,,1,,2026-03-15")
	require.Equal(t, []string{"register chargeback_differs: 700.00 AMD / 0.00 AMD, open"}, found(s, reconcile(s, "2026-03-15")))
	_, err := s.Judge(t.Context(), s.ID, s.By, runOf(s, reconcile(s, "2026-03-15").ID).ID, 1, payments.Judgement{State: "confirmed", Reason: "x"})
	require.ErrorIs(t, err, payments.ErrState, "there is nothing to record")
}

func TestARegisterThatNamesOnlyWhatCameLaterIsComparedByThat(t *testing.T) {
	s := tilltest.New(t)
	_, a := s.Sold("1", 100_000)
	bring(s, "chargeback,"+a.Reference+",,1000,,2026-03-12")
	s.Clock = s.Clock.AddDate(0, 0, 3)
	require.Equal(t, []string{"register chargeback_differs: 0.00 AMD / 1000.00 AMD, open"}, found(s, reconcile(s, "2026-03-12")))
}
