package mapping_test

import (
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/stretchr/testify/require"
)

func TestWhatAPersonRecordedIsToldInItsOwnWords(t *testing.T) {
	told := func(what, how, reference, lang string) string {
		return mapping.Note(mapping.Happening{What: what, Invoice: "DP-7", Amount: crm.Money{Decimal: "1500.00", Currency: "AMD"},
			ByHand: how, Reference: reference, Tag: "DPN-1"}, lang)
	}
	require.Equal(t, "Recorded by hand: 1,500.00 AMD, cash, till 4. Invoice DP-7. DPN-1", told("received", "cash", "till 4", "en"))
	require.Equal(t, "Записана вручную оплата 1\u00a0500,00 AMD: банковский перевод, TR-1. Счёт DP-7. DPN-1", told("received", "transfer", "TR-1", "ru"))
	require.Equal(t, "Taken back: 1,500.00 AMD recorded by hand, another way. Invoice DP-7. DPN-1", told("received_undone", "other", "", "en"))
	require.Equal(t, "Paid 1,500.00 AMD. Invoice DP-7, payment 77. DPN-1", told("paid", "", "77", "en"))
	seen := map[string]string{told("paid", "cash", "1", "en"): "paid", told("manual_review", "cash", "1", "en"): "a word nobody knows"}
	for _, what := range []string{"received", "received_undone", "given_back", "given_back_undone", "decision_undone"} {
		for _, lang := range crm.Langs {
			text := told(what, "cash", "1", lang)
			require.NotContains(t, text, "{", what)
			require.NotContains(t, seen, text, what)
			seen[text] = what
		}
	}
}

func TestMovedMoneyNamesBothInvoices(t *testing.T) {
	told := func(what, other, lang string) string {
		return mapping.Note(mapping.Happening{What: what, Invoice: "DP-7", Other: other, Amount: crm.Money{Decimal: "1500.00", Currency: "AMD"},
			Reference: "77", Tag: "DPN-1"}, lang)
	}
	require.Equal(t, "Moved 1,500.00 AMD to invoice DP-8. Invoice DP-7, payment 77. DPN-1", told("moved_out", "DP-8", "en"))
	require.Equal(t, "Received 1,500.00 AMD moved from invoice DP-8. Invoice DP-7, payment 77. DPN-1", told("moved_in", "DP-8", "en"))
	require.Equal(t, "Received 1,500.00 AMD that had named no invoice. Invoice DP-7, payment 77. DPN-1", told("moved_in", "", "en"))
	require.Equal(t, "The move of 1,500.00 AMD was taken back. Invoice DP-7, payment 77. DPN-1", told("move_undone", "DP-8", "en"))
	seen := map[string]bool{}
	for _, lang := range crm.Langs {
		for _, what := range []string{"moved_out", "moved_in", "move_undone"} {
			text := told(what, "DP-8", lang)
			require.NotContains(t, text, "{", what)
			require.Contains(t, text, "DP-7", what)
			require.False(t, seen[text], text)
			seen[text] = true
			if what != "move_undone" {
				require.Contains(t, text, "DP-8", what)
			}
		}
	}
}
