package payments_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func (s *shop) request(deal string, amount payments.Money) payments.NewInvoice {
	return payments.NewInvoice{DealID: deal, Whole: amount, Terms: payments.Terms{Amount: amount, Purpose: "Order " + deal, ExpiresAt: s.Clock.Add(72 * time.Hour)}}
}

func (s *shop) deal(id string) (d payments.Deal) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		d, err = s.DealOf(ctx, tx, id)
		return err
	})
	return d
}

func TestPartsAddUpToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]int64{1, 100}).Draw(t, "unit")
		whole := unit * rapid.Int64Range(1000, 1_000_000_000).Draw(t, "units")
		n := rapid.IntRange(1, 11).Draw(t, "parts")
		parts := make([]payments.Share, n, n+1)
		left := 9999
		for i := range parts {
			share := rapid.IntRange(20, max(20, left/(2*n))).Draw(t, "hundredths")
			left -= share
			parts[i].Percent = fmt.Sprintf("%d.%02d", share/100, share%100)
		}
		minors, err := payments.Split(whole, unit, append(parts, payments.Share{}))
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, m := range minors {
			if m <= 0 || m%unit != 0 {
				t.Fatalf("%d of %v cannot be taken", m, minors)
			}
			sum += m
		}
		if sum != whole {
			t.Fatalf("%v are %d, not %d", minors, sum, whole)
		}
	})
	thirds, err := payments.Split(10_000, 100, []payments.Share{{Percent: "33.33"}, {Percent: "33.33"}, {}})
	require.NoError(t, err)
	require.Equal(t, []int64{3300, 3400, 3300}, thirds, "whole dram, none more than one off")
	for _, bad := range [][]payments.Share{{{Percent: "100"}, {}}, {{Percent: "0"}, {}}, {{}, {Percent: "50"}}, {{Percent: "50"}, {Percent: "40"}},
		{{Percent: "-5"}, {}}, {{Percent: "1e2"}, {}}, {{Minor: 50}, {}}, {{Minor: 20_000}, {}}, {{Percent: "50", Minor: 100}, {}}, {{}}} {
		_, err := payments.Split(10_000, 100, bad)
		require.ErrorIs(t, err, payments.ErrInvalid, "%+v", bad)
	}
	_, err = payments.Split(10_050, 100, []payments.Share{{Percent: "50"}, {}})
	require.ErrorIs(t, err, payments.ErrInvalid, "a fraction nobody takes")
}

func TestDepositAndRemainderAreOneBalance(t *testing.T) {
	s := newShop(t)
	plan := payments.NewPlan{NewInvoice: s.request("1", tilltest.AMD(10_000_001)), Parts: []payments.Share{{Percent: "30", Purpose: "Deposit"}, {}}}
	plan.Key, plan.Request = "k", []byte("{}")
	made, err := s.Plan(t.Context(), s.ID, s.By, plan)
	require.NoError(t, err)
	again, err := s.Plan(t.Context(), s.ID, s.By, plan)
	require.NoError(t, err)
	require.Equal(t, made, again, "pressing twice makes one plan")
	require.Equal(t, [2]int64{3_000_000, 7_000_001}, [2]int64{made[0].Minor, made[1].Minor})
	require.Equal(t, [4]string{"deposit", "Deposit", "remainder", "Order 1"}, [4]string{made[0].Part, made[0].Purpose, made[1].Part, made[1].Purpose})

	a := s.Try(made[0])
	s.Learn(a, tilltest.Took(tilltest.AMD(3_000_000)))
	d := s.deal("1")
	require.Equal(t, [4]int64{10_000_001, 3_000_000, 7_000_001, 0}, [4]int64{d.Balance.Due, d.Balance.Paid, d.Balance.Outstanding, d.Overpaid()})
	require.Equal(t, state.AwaitingPayment, d.Balance.Status)
}

func TestAFractionIsDividedWhereOneAcquirerTakesIt(t *testing.T) {
	s := newShop(t)
	s.Providers["coarse"] = drams{s.Till}
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "coarse", map[string]string{"key": "k"}, false))
	divide := func(deal string, minor int64, acquirer string) (parts []int64, err error) {
		plan := payments.NewPlan{NewInvoice: s.request(deal, tilltest.AMD(minor)), Parts: []payments.Share{{Percent: "50"}, {}}}
		plan.Acquirer = acquirer
		made, err := s.Plan(t.Context(), s.ID, s.By, plan)
		for _, in := range made {
			parts = append(parts, in.Minor)
		}
		return parts, err
	}
	parts, err := divide("1", 10_050, "")
	require.NoError(t, err)
	require.Equal(t, []int64{5_025, 5_025}, parts, "100.50 dram: whoever takes whole ones only is left out")
	parts, err = divide("2", 10_100, "")
	require.NoError(t, err)
	require.Equal(t, []int64{5_100, 5_000}, parts, "each of them can take each part")
	_, err = divide("3", 10_050, "coarse")
	require.Error(t, err)
}

func TestInstalmentsAreDueInOrder(t *testing.T) {
	s := newShop(t)
	due := func(days int) *time.Time {
		at := s.Clock.Add(time.Duration(days) * 24 * time.Hour)
		return &at
	}
	plan := payments.NewPlan{NewInvoice: s.request("1", tilltest.AMD(90_000)), Grace: 48 * time.Hour,
		Parts: []payments.Share{{Percent: "33.3", DueAt: due(10)}, {Percent: "33.3", DueAt: due(40)}, {DueAt: due(70)}}}
	made, err := s.Plan(t.Context(), s.ID, s.By, plan)
	require.NoError(t, err)
	require.Len(t, made, 3)
	for i, in := range made {
		require.Equal(t, "instalment", in.Part)
		require.Equal(t, plan.Parts[i].DueAt.UTC(), in.DueAt.UTC())
		require.Equal(t, plan.Parts[i].DueAt.Add(48*time.Hour).UTC(), in.ExpiresAt.UTC(), "the link outlives the day it is due")
	}
	plan.DealID = "2"
	plan.Parts[1].DueAt = due(5)
	_, err = s.Plan(t.Context(), s.ID, s.By, plan)
	require.ErrorIs(t, err, payments.ErrInvalid)
	plan.Parts[0].DueAt = due(-1)
	_, err = s.Plan(t.Context(), s.ID, s.By, plan)
	require.ErrorIs(t, err, payments.ErrInvalid)
	require.Empty(t, s.deal("2").Invoices, "all or nothing")
}

func TestANewLinkRetiresTheOldOne(t *testing.T) {
	s := newShop(t)
	old := s.Invoice("1", 50_000)
	a := s.Try(old)
	in := payments.NewInvoice{Key: "k", Request: []byte("{}"), Terms: payments.Terms{ExpiresAt: s.Clock.Add(time.Hour)}}
	next, err := s.Replace(t.Context(), s.ID, s.By, old.ID, in)
	require.NoError(t, err)
	again, err := s.Replace(t.Context(), s.ID, s.By, old.ID, in)
	require.NoError(t, err)
	require.Equal(t, next, again)
	require.Equal(t, [3]any{int64(50_000), old.Purpose, old.ID}, [3]any{next.Minor, next.Purpose, *next.Replaces})
	require.Equal(t, state.Cancelled, s.Read(old.ID).Status)
	_, err = s.Pay(t.Context(), s.ID, old.ID, "token", "", "en")
	require.ErrorIs(t, err, payments.ErrState)
	d := s.deal("1")
	require.Equal(t, [2]int64{50_000, 50_000}, [2]int64{d.Balance.Due, d.Balance.Outstanding}, "one debt, not two")

	s.Learn(a, tilltest.Took(tilltest.AMD(50_000)))
	require.Equal(t, state.ManualReview, s.Read(old.ID).Status, "money for a retired link needs a person")
	in.Key = "k2"
	_, err = s.Replace(t.Context(), s.ID, s.By, old.ID, in)
	require.ErrorIs(t, err, payments.ErrState, "what money came for is not replaced")
}

func TestTheDealsAmountThatChangedIsSaid(t *testing.T) {
	s := newShop(t)
	in := s.request("1", tilltest.AMD(50_000))
	_, err := s.Create(t.Context(), s.ID, s.By, in)
	require.NoError(t, err)
	_, drifted := s.deal("1").Drifted(tilltest.AMD(50_000))
	require.False(t, drifted)
	was, drifted := s.deal("1").Drifted(tilltest.AMD(60_000))
	require.True(t, drifted)
	require.Equal(t, tilltest.AMD(50_000), was)
}
