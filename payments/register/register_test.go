package register_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments/register"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
)

var bank = register.Mapping{Delimiter: ";", Encoding: "windows-1251", Decimal: ",", Date: "dd.mm.yyyy", Currency: "AMD", Skip: 2,
	Columns: register.Columns{Kind: "Тип", Reference: "Заказ", ProviderRef: "RRN", Amount: "Сумма", Fee: "Комиссия", Date: "Дата расчёта"},
	Kinds:   map[string]register.Kind{"Покупка": register.Payment, "Возврат": register.Refund, "Перечисление": register.Payout, "Абонплата": register.Fee}}

var simple = register.Mapping{Delimiter: ",", Encoding: "utf-8", Decimal: ".", Date: "yyyy-mm-dd",
	Columns: register.Columns{Reference: "order", Amount: "amount", Currency: "currency", Date: "settled"}}

func read(m register.Mapping, text string) (lines []register.Line, err error) {
	_, err = register.Read(strings.NewReader(text), m, func(l register.Line) error {
		lines = append(lines, l)
		return nil
	})
	return lines, err
}

func day(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }

func TestABanksOwnColumns(t *testing.T) {
	text, err := charmap.Windows1251.NewEncoder().String("Реестр № 5\r\nза март\r\nтип;Дата  расчёта;Заказ;RRN;Сумма;Комиссия\r\n" +
		"Покупка;11.03.2026 14:00;DP-1;'0012;1 500,50;22,51\r\n;;;;;\r\nИтого;;;;1 500,50;\r\nВозврат;12.03.2026;DP-1;0013;-300;-4,5\r\n" +
		"Перечисление;13.03.2026;;;1.173,49;\r\nАбонплата;13.03.2026;;;50;\r\n")
	require.NoError(t, err)
	lines, err := read(bank, text)
	require.NoError(t, err)
	require.Equal(t, []register.Line{
		{N: 4, Kind: register.Payment, Reference: "DP-1", ProviderRef: "0012", Currency: "AMD", Minor: 150_050, Fee: 2_251, Day: day(11)},
		{N: 7, Kind: register.Refund, Reference: "DP-1", ProviderRef: "0013", Currency: "AMD", Minor: 30_000, Fee: -450, Day: day(12)},
		{N: 8, Kind: register.Payout, Currency: "AMD", Minor: 117_349, Day: day(13)},
		{N: 9, Kind: register.Fee, Currency: "AMD", Fee: 5_000, Day: day(13)},
	}, lines)
}

// A bank's statement of what acquirers paid out has no word for it, and no order of ours.
func TestAStatementOfPayouts(t *testing.T) {
	m := register.Mapping{Delimiter: ",", Encoding: "utf-8", Decimal: ".", Date: "yyyy-mm-dd", Currency: "AMD", Every: register.Payout,
		Columns: register.Columns{Amount: "credit", Date: "day"}}
	lines, err := read(m, "day,credit\n2026-03-11,1173.49\n2026-03-12,-3.00\n")
	require.NoError(t, err)
	require.Equal(t, []register.Line{{N: 2, Kind: register.Payout, Currency: "AMD", Minor: 117_349, Day: day(11)},
		{N: 3, Kind: register.Payout, Currency: "AMD", Minor: 300, Day: day(12)}}, lines)
	m.Every = register.Fee
	lines, err = read(m, "day,credit\n2026-03-11,10\n")
	require.NoError(t, err)
	require.Equal(t, []register.Line{{N: 2, Kind: register.Fee, Currency: "AMD", Fee: 1_000, Day: day(11)}}, lines)
	for _, every := range []register.Kind{"", register.Payment, register.Refund, register.Chargeback, "gift"} {
		m.Every = every
		require.Error(t, m.Check(), every)
	}
	m.Columns.Reference = "order"
	for _, every := range []register.Kind{"", register.Payment, register.Refund, register.Chargeback} {
		m.Every = every
		require.NoError(t, m.Check(), every)
	}
	m.Columns.Kind, m.Kinds = "type", map[string]register.Kind{"x": register.Fee}
	require.Error(t, m.Check(), "the column says it")
}

func TestLinesOfNoMappedKindAreCounted(t *testing.T) {
	m := simple
	m.Columns.Kind, m.Kinds = "type", map[string]register.Kind{"sale": register.Payment}
	var lines strings.Builder
	lines.WriteString("type,order,amount,currency,settled\nsale,DP-1,5,USD,2026-03-11\nfee,,x,,\n,,,,\nfee,,1,USD,never\npayout,,9,USD,2026-03-12\n,DP-2,9,USD,2026-03-12\n")
	count := func() register.Skipped {
		read := 0
		skipped, err := register.Read(strings.NewReader(lines.String()), m, func(register.Line) error {
			read++
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, read)
		return skipped
	}
	require.Equal(t, register.Skipped{"fee": 2, "payout": 1, "": 1}, count(), "a blank line is none")
	require.Equal(t, 4, count().Total())
	for i := range 30 {
		lines.WriteString(strings.Repeat("z", i+1) + ",,,,\n")
	}
	lines.WriteString(strings.Repeat("y", 300) + ",,,,\nfee,,,,\n")
	require.Len(t, count(), 20)
	require.Equal(t, 3, count()["fee"])
	require.Equal(t, 4+30+2, count().Total(), "every line is counted, whatever its word")
}

func TestAPlainFile(t *testing.T) {
	lines, err := read(simple, "\uFEFForder,amount,currency,settled\nDP-1,\"1,500\",usd,2026-03-11\nDP-2,-10.00,USD,2026-03-12\n")
	require.NoError(t, err)
	require.Equal(t, []register.Line{
		{N: 2, Kind: register.Payment, Reference: "DP-1", Currency: "USD", Minor: 150_000, Day: day(11)},
		{N: 3, Kind: register.Refund, Reference: "DP-2", Currency: "USD", Minor: 1_000, Day: day(12)},
	}, lines)
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	const head = "order,amount,currency,settled\n"
	for text, line := range map[string]int{
		"":                                            1,
		"order,amount,settled\n":                      1,
		head + "DP-1,x,USD,2026-03-11\n":              2,
		head + "DP-1,1e3,USD,2026-03-11\n":            2,
		head + "DP-1,1.005,USD,2026-03-11":            2,
		head + "DP-1,5,XAU,2026-03-11\n":              2,
		head + "\nDP-1,5,USD,11.03.2026\n":            3,
		head + "DP-1,5,USD,2026-02-30\n":              2,
		head + ",5,USD,2026-03-11\n":                  2,
		head + "\xcf\xf0,5,USD,2026-03-11\n":          2,
		head + "DP-1,99999999999999,USD,2026-03-11\n": 2,
	} {
		_, err := read(simple, text)
		var e *register.Error
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, line, e.N, "%s: %v", text, err)
	}
}

func TestAMappingIsWhole(t *testing.T) {
	require.NoError(t, bank.Check())
	for name, change := range map[string]func(*register.Mapping){
		"delimiter": func(m *register.Mapping) { m.Delimiter = "" },
		"encoding":  func(m *register.Mapping) { m.Encoding = "koi8-r" },
		"decimal":   func(m *register.Mapping) { m.Decimal = "'" },
		"date":      func(m *register.Mapping) { m.Date = "2006" },
		"amount":    func(m *register.Mapping) { m.Columns.Amount = "" },
		"reference": func(m *register.Mapping) { m.Columns.Reference, m.Columns.ProviderRef = "", "" },
		"currency":  func(m *register.Mapping) { m.Currency = "" },
		"unknown":   func(m *register.Mapping) { m.Currency = "ZZZ" },
		"kinds":     func(m *register.Mapping) { m.Kinds = nil },
		"a kind":    func(m *register.Mapping) { m.Kinds = map[string]register.Kind{"x": "gift"} },
		"skip":      func(m *register.Mapping) { m.Skip = -1 },
		"heading":   func(m *register.Mapping) { m.Columns.Fee = strings.Repeat("x", 300) },
	} {
		m := bank
		change(&m)
		require.Error(t, m.Check(), name)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("order,amount,currency,settled\nDP-1,1500.50,AMD,2026-03-11\n", ",", ".")
	f.Add("order;amount;currency;settled\n\"DP\"\"1;-1 500,50;AMD;2026-03-11 10:00\n", ";", ",")
	f.Fuzz(func(t *testing.T, text, delimiter, decimal string) {
		m := simple
		m.Delimiter, m.Decimal = delimiter, decimal
		lines, err := read(m, text)
		if err != nil {
			return
		}
		for _, l := range lines {
			require.GreaterOrEqual(t, l.Minor, int64(0))
			require.NotEmpty(t, l.Reference)
			require.False(t, l.Day.IsZero())
			require.Positive(t, l.N)
		}
	})
}
