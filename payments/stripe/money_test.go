package stripe

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
)

func TestAmountsAreInStripesSmallestUnit(t *testing.T) {
	p := New(Config{})
	for _, c := range []struct {
		m    payments.Money
		want int64
	}{
		{payments.Money{Minor: 1050, Currency: "USD"}, 1050},
		{payments.Money{Minor: 1_500_000, Currency: "AMD"}, 1_500_000},
		{payments.Money{Minor: 500, Currency: "JPY"}, 500},
		{payments.Money{Minor: 15_000, Currency: "CLP"}, 15_000},
		{payments.Money{Minor: 7, Currency: "EUR"}, 7},
		{payments.Money{Minor: 5120, Currency: "KWD"}, 5120},
	} {
		got, ok := p.outward(c.m)
		require.True(t, ok, c.m)
		require.Equal(t, c.want, got, c.m)
		back, ok := p.inward(got, c.m.Currency)
		require.True(t, ok)
		require.Equal(t, c.m, back)
	}
	_, ok := p.outward(payments.Money{Minor: 5124, Currency: "KWD"})
	require.False(t, ok, "the last of three decimals must be 0")
}

func TestWholeUnitsLoseNoFraction(t *testing.T) {
	p := New(Config{Exponents: map[string]int{"AMD": 0}})
	got, ok := p.outward(payments.Money{Minor: 1_500_000, Currency: "AMD"})
	require.True(t, ok)
	require.EqualValues(t, 15_000, got)
	_, ok = p.outward(payments.Money{Minor: 1_500_050, Currency: "AMD"})
	require.False(t, ok)
	m, ok := p.inward(15_000, "AMD")
	require.True(t, ok)
	require.EqualValues(t, 1_500_000, m.Minor)
	require.Equal(t, 2, p.decimals("ISK"), "the documented special cases stay")
	require.Equal(t, 0, p.decimals("MGA"))
	wider := New(Config{Exponents: map[string]int{"JPY": 2}})
	got, ok = wider.outward(payments.Money{Minor: 500, Currency: "JPY"})
	require.True(t, ok)
	require.EqualValues(t, 50_000, got, "as ISK and UGX")
	_, ok = wider.inward(50_050, "JPY")
	require.False(t, ok, "a fraction that the currency does not have")
}

func TestAmountsGoThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := New(Config{Exponents: map[string]int{"AMD": rapid.IntRange(0, 3).Draw(t, "exponent")}})
		m := payments.Money{Minor: rapid.Int64Range(1, state.MaxMinor/10).Draw(t, "minor"),
			Currency: rapid.SampledFrom([]string{"AMD", "USD", "JPY", "KWD"}).Draw(t, "currency")}
		out, ok := p.outward(m)
		if !ok {
			return
		}
		back, ok := p.inward(out, m.Currency)
		require.True(t, ok)
		require.Equal(t, m, back)
	})
}

func TestStrangeMoneyIsShownOrRefused(t *testing.T) {
	p := New(Config{})
	m, ok := p.inward(5, "XXX")
	require.True(t, ok)
	require.Equal(t, payments.Money{Minor: 5, Currency: "XXX"}, m, "a person sees it")
	for _, n := range []int64{-1, state.MaxMinor + 1} {
		_, ok := p.inward(n, "USD")
		require.False(t, ok)
	}
	_, ok = p.inward(5, "")
	require.False(t, ok)
}
