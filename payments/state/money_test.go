package state

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseReadsMajorUnits(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		minor          int64
		back           string
	}{
		{"1500", "AMD", 150000, "1500.00"},
		{"1500.5", "AMD", 150050, "1500.50"},
		{"1500.50", "USD", 150050, "1500.50"},
		{"0.01", "EUR", 1, "0.01"},
		{"0", "RUB", 0, "0.00"},
		{"007", "RUB", 700, "7.00"},
		{"10.5000", "AMD", 1050, "10.50"},
		{"1500", "JPY", 1500, "1500"},
		{"1500.00", "JPY", 1500, "1500"},
		{"1.234", "KWD", 1234, "1.234"},
		{"10000000000.00", "AMD", MaxMinor, "10000000000.00"},
	} {
		m, err := Parse(c.text, c.currency)
		require.NoError(t, err, c.text)
		require.Equal(t, Money{Minor: c.minor, Currency: c.currency}, m, c.text)
		require.Equal(t, c.back, m.Decimal(), c.text)
		require.Equal(t, c.back+" "+c.currency, m.String())
	}
}

func TestParseRefusesWhatIsNoAmount(t *testing.T) {
	for _, c := range [][2]string{
		{"", "AMD"}, {".", "AMD"}, {".5", "AMD"}, {"5.", "AMD"}, {"-5", "AMD"}, {"+5", "AMD"}, {"1e3", "AMD"},
		{"1,5", "AMD"}, {"1 500", "AMD"}, {"1_500", "AMD"}, {"0x10", "AMD"}, {"1.5.0", "AMD"}, {"NaN", "AMD"},
		{" 5", "AMD"}, {"5\n", "AMD"}, {"٥", "AMD"}, {"1.005", "AMD"}, {"1.5", "JPY"}, {"1.2345", "KWD"},
		{"10000000000.01", "AMD"}, {"99999999999999", "AMD"}, {"5", "XXX"}, {"5", ""}, {"5", "amd"},
	} {
		_, err := Parse(c[0], c[1])
		require.ErrorIs(t, err, ErrMoney, "%q %s", c[0], c[1])
	}
}

func TestOnlyAPositiveBoundedKnownAmountMayBeCharged(t *testing.T) {
	require.True(t, Money{1, "AMD"}.Valid())
	require.True(t, Money{MaxMinor, "AMD"}.Valid())
	for _, m := range []Money{{}, {0, "AMD"}, {-1, "AMD"}, {MaxMinor + 1, "AMD"}, {math.MaxInt64, "USD"}, {100, "XXX"}} {
		require.False(t, m.Valid(), m)
	}
	require.Equal(t, "-15.05 AMD", Money{-1505, "AMD"}.String())
	require.Equal(t, "15.05 XXX", Money{1505, "XXX"}.String())
}

func TestDecimalAndParseAreInverse(t *testing.T) {
	known := []string{"AMD", "RUB", "USD", "JPY", "KWD"}
	rapid.Check(t, func(t *rapid.T) {
		m := Money{rapid.Int64Range(0, MaxMinor).Draw(t, "minor"), rapid.SampledFrom(known).Draw(t, "currency")}
		back, err := Parse(m.Decimal(), m.Currency)
		if err != nil || back != m {
			t.Fatalf("%v became %v, %v", m, back, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"1500.50", "0", "1e9", "-1", "10000000000.00", "0000000000001", "1.000000", "."} {
		f.Add(seed, "AMD")
	}
	f.Add("15", "JPY")
	f.Add("1.234", "KWD")
	f.Fuzz(func(t *testing.T, text, currency string) {
		m, err := Parse(text, currency)
		if err != nil {
			require.ErrorIs(t, err, ErrMoney)
			require.Zero(t, m)
			return
		}
		require.GreaterOrEqual(t, m.Minor, int64(0))
		require.LessOrEqual(t, m.Minor, int64(MaxMinor))
		require.False(t, strings.ContainsAny(text, "+-eE, "))
		again, err := Parse(m.Decimal(), currency)
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
