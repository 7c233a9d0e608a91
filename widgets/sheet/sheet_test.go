package sheet_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/widgets/sheet"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"
)

var (
	yerevan = time.FixedZone("+04", 4*60*60)
	evening = time.Date(2026, 3, 9, 21, 30, 5, 0, time.UTC)
	midday  = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
)

func write(t require.TestingT, w sheet.Writer, rows ...[]sheet.Cell) {
	for _, row := range rows {
		require.NoError(t, w.Row(row...))
	}
	require.NoError(t, w.Close())
}

func sample() []sheet.Cell {
	return []sheet.Cell{sheet.Text("Заказ; \"1\""), sheet.Money(-150_050, "AMD"), sheet.Money(1500, "JPY"), sheet.Day(midday), sheet.Time(evening), sheet.Time(time.Time{})}
}

func TestDialects(t *testing.T) {
	var plain, oneC bytes.Buffer
	write(t, sheet.CSV(&plain), sample())
	require.Equal(t, "\"Заказ; \"\"1\"\"\",-1500.50,1500,2026-03-10,2026-03-09T21:30:05Z,\n", plain.String())
	write(t, sheet.OneC(&oneC, yerevan), sample())
	require.Equal(t, "\uFEFF\"Заказ; \"\"1\"\"\";-1500,50;1500;10.03.2026;10.03.2026 01:30:05;\r\n", oneC.String())
}

func TestNoTextBecomesAFormula(t *testing.T) {
	for _, text := range []string{"=1+1", "+37400000000", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"} {
		var out bytes.Buffer
		write(t, sheet.CSV(&out), []sheet.Cell{sheet.Text(text)})
		got, err := csv.NewReader(&out).Read()
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(got[0], "'"), "%q became %q", text, got[0])
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var out bytes.Buffer
		write(t, sheet.OneC(&out, time.UTC), []sheet.Cell{sheet.Text("x"), sheet.Text(text)})
		r := csv.NewReader(&out)
		r.Comma = ';'
		got, err := r.Read()
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.NotContains(t, "=+-@\t\r", (got[1] + " ")[:1])
	})
}

func TestAWorkbookHoldsExactAmounts(t *testing.T) {
	var out bytes.Buffer
	w, err := sheet.XLSX(&out, "Payments", yerevan)
	require.NoError(t, err)
	largest := sheet.Money(state.MaxMinor*99-1, "AMD")
	write(t, w, []sheet.Cell{sheet.Text("=1+1"), largest}, sample(), []sheet.Cell{sheet.Money(1, "KWD"), sheet.Money(10, "AMD"), sheet.Money(29, "XXX")})
	book, err := excelize.OpenReader(&out)
	require.NoError(t, err)
	cell := func(name string) string {
		text, err := book.GetCellValue("Payments", name, excelize.Options{RawCellValue: true})
		require.NoError(t, err)
		return text
	}
	formula, err := book.GetCellFormula("Payments", "A1")
	require.NoError(t, err)
	require.Empty(t, formula)
	require.Equal(t, "=1+1", cell("A1"))
	require.Equal(t, "989999999999.99", cell("B1")[:15])
	require.Equal(t, "-1500.5", cell("B2"))
	require.Equal(t, []string{"0.001", "0.1", "0.29"}, []string{cell("A3"), cell("B3"), cell("C3")})
	shown, err := book.GetCellValue("Payments", "E2")
	require.NoError(t, err)
	require.Equal(t, "2026-03-10 01:30:05", shown)
	shown, err = book.GetCellValue("Payments", "D2")
	require.NoError(t, err)
	require.Equal(t, "2026-03-10", shown)
}
