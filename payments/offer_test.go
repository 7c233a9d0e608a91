package payments_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

func (s *shop) giveBack(in payments.Invoice) (g payments.GiveBack, err error) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		g, err = s.GiveBackOf(ctx, tx, s.Read(in.ID))
		return nil
	})
	return g, err
}

func (s *shop) offer(role tenants.Role) (mine, others []string) {
	s.Helper()
	open := s.open()
	require.Len(s, open, 1)
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		mine, others, err = s.Offer(ctx, tx, open[0], role)
		return err
	})
	return mine, others
}

func TestWhatCanGoBackIsWhatTheAcquirerHoldsAndHow(t *testing.T) {
	s, _, in, _ := returns(t)
	g, err := s.giveBack(in)
	require.NoError(t, err)
	require.Equal(t, payments.GiveBack{Most: tilltest.AMD(100_000), Acquirer: "till", Methods: []payments.RefundMethod{payments.ByAPI}, Partial: true}, g)

	s.settings(func(p *tenants.PaymentSettings) { p.RefundLimits = map[string]int64{"AMD": 50_000} })
	g, err = s.giveBack(in)
	require.NoError(t, err)
	require.EqualValues(t, 50_000, *g.Limit)
	id := s.ask(in, 40_000)
	g, err = s.giveBack(in)
	require.NoError(t, err)
	require.True(t, g.Open, "one refund at a time")
	require.EqualValues(t, 10_000, *g.Limit, "what is asked for counts")
	_, err = s.SendRefund(t.Context(), s.ID, id)
	require.NoError(t, err)
	g, err = s.giveBack(in)
	require.NoError(t, err)
	require.Equal(t, tilltest.AMD(60_000), g.Most)
	require.False(t, g.Open)

	unpaid := s.Invoice("2", 10_000)
	_, err = s.giveBack(unpaid)
	require.ErrorIs(t, err, payments.ErrNotFound)
}

func TestWaysOfGivingBackThatThereAreNotAreNotOffered(t *testing.T) {
	s := newShop(t)
	s.cancelledPaid("1", 50_000)
	mine, others := s.offer(tenants.Admin)
	require.Equal(t, [][]string{{"accept", "refund", "move"}, {}}, [][]string{mine, others}, "the acquirer gives back by itself")
	mine, others = s.offer(tenants.Manager)
	require.Equal(t, [][]string{{"accept"}, {"refund", "move"}}, [][]string{mine, others}, "what moves money is the administrator's")

	s.Providers["till"] = oneWay{s.Till}
	mine, _ = s.offer(tenants.Admin)
	require.Equal(t, []string{"accept", "refund_outside", "move"}, mine)
}

// denier is a till that has no right for this merchant.
type denier struct {
	*tilltest.Till
	rights error
}

func (d denier) Refund(context.Context, payments.Connection, payments.Order, string, payments.Money) error {
	return d.rights
}

func (d denier) Describe() payments.Description {
	all := d.Till.Describe()
	all.Reversals = true
	return all
}

func TestWhatTheAcquirerDeniesAMerchantIsNotOfferedAgain(t *testing.T) {
	s := newShop(t)
	d := &denier{Till: s.Till, rights: payments.ErrNoRefunds}
	s.Providers["till"] = d
	in, _ := s.Sold("1", 100_000)
	other, _ := s.Sold("2", 100_000)
	ways := func() ([]payments.RefundMethod, bool) {
		g, err := s.giveBack(other)
		require.NoError(t, err)
		return g.Methods, g.Partial
	}
	refused := func() {
		id := s.ask(in, 100_000)
		_, err := s.SendRefund(t.Context(), s.ID, id)
		require.NoError(t, err)
		require.Equal(t, "refused", s.refunds(in)[len(s.refunds(in))-1].Status)
	}
	refused()
	methods, partial := ways()
	require.Equal(t, []payments.RefundMethod{payments.ByAPI, payments.ByTransfer, payments.ByCash}, methods, "a whole payment can be reversed")
	require.False(t, partial)
	_, err := s.Refund(t.Context(), s.ID, s.By, other.ID, payments.RefundRequest{Amount: tilltest.AMD(40_000), Reason: "Returned"})
	require.ErrorIs(t, err, payments.ErrInvalid)

	d.rights = errors.Join(payments.ErrNoRefunds, payments.ErrNoReversals)
	refused()
	methods, _ = ways()
	require.Equal(t, []payments.RefundMethod{payments.ByTransfer, payments.ByCash}, methods)
	_, err = s.Refund(t.Context(), s.ID, s.By, other.ID, payments.RefundRequest{Amount: tilltest.AMD(100_000), Reason: "Returned"})
	require.ErrorIs(t, err, payments.ErrInvalid)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var said int
		err := tx.QueryRow(ctx, `SELECT count(*)::int FROM audit WHERE action = 'acquirer.denied'`).Scan(&said)
		require.Equal(t, 2, said, "each right once")
		return err
	})
	denied := func() (rights []string) {
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			linked, err := payments.Connections(ctx, tx)
			rights = linked[0].Denied
			return err
		})
		return rights
	}
	require.Equal(t, []string{"refund", "reversal"}, denied(), "an administrator sees it")

	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "new"}, false))
	methods, partial = ways()
	require.Equal(t, []payments.RefundMethod{payments.ByAPI}, methods, "other credentials may have other rights")
	require.Empty(t, denied())
	require.True(t, partial)
}
