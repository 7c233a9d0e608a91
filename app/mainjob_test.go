package main

import (
	"cmp"
	"net/http"
	"testing"

	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// everywhere runs a test on each CRM of one scene, side by side.
func everywhere(t *testing.T, s *scene, run func(a *account)) {
	for system, a := range s.accounts {
		t.Run(string(system), func(t *testing.T) {
			t.Parallel()
			run(a.under(t))
		})
	}
}

func TestOneLinkTurnsADealPaidOnEveryCRM(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("1")
		require.Equal(a, api.Money{Minor: 15_000_000, Currency: "AMD"}, in.Amount, "what is left out comes from the deal")
		require.Equal(a, "Payment for deal 1", in.Purpose)
		in = a.act(in, "send", map[string]any{"channel": "whatsapp", "to": "+374 10 123456"})
		require.True(a, in.Locked)
		a.becomes(in, "awaiting_payment")
		before := a.deal("1")
		require.Equal(a, []string{"awaiting_payment", "0.00", "150000.00", in.Url},
			[]string{before.field("status"), before.field("paid"), before.field("outstanding"), before.field("link")})
		require.Empty(a, before.notes(in))

		page := a.send(http.MethodGet, in.Url, nil)
		require.Equal(a, http.StatusOK, page.Status)
		require.Contains(a, string(page.Body), "150,000")
		payment := a.pays(a.press(in), "paid", 1)

		paid := a.becomes(in, "paid")
		require.Equal(a, [2]int64{15_000_000, 0}, [2]int64{paid.Paid.Minor, paid.Outstanding.Minor})
		require.Equal(a, payment.Ref, paid.ProviderRef)
		require.NotNil(a, paid.PaidAt)
		after := a.deal("1")
		require.Equal(a, []string{"paid", "150000.00", "0.00", in.Url, payment.Ref}, []string{after.field("status"), after.field("paid"),
			after.field("outstanding"), after.field("link"), after.field("reference")})
		require.NotEmpty(a, after.field("paid_at"))
		require.Equal(a, a.won(), after.Stage)
		notes := after.notes(in)
		require.Len(a, notes, 1)
		for _, word := range []string{"150,000.00 AMD", payment.Ref, in.Number} {
			require.Contains(a, notes[0], word)
		}
		require.Empty(a, after.Tasks)

		deal := a.balance("1")
		require.Equal(a, [4]int64{15_000_000, 15_000_000, 0, 0}, [4]int64{deal.Due.Minor, deal.Paid.Minor, deal.Refunded.Minor, deal.Outstanding.Minor})
		require.Contains(a, string(a.send(http.MethodGet, in.Url, nil).Body), payment.Ref, "the customer's receipt")
		a.quiet()
		require.Equal(a, after, a.deal("1"), "nothing more happens")
		actions := []string{}
		for _, e := range want[api.AuditPage](a.scene, http.StatusOK, a.api(http.MethodGet, "/invoices/"+in.Id+"/history", nil)).Items {
			actions = append(actions, e.Action)
		}
		require.Equal(a, []string{"invoice.created", "invoice.sent", "attempt.started", "attempt.pending", "attempt.paid"}, actions)
	})
}

func TestAPaidDealIsWonInWhicheverPipelineOfTheDemoItIs(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		elsewhere := map[string]string{"bitrix24": "C1:WON"}
		for deal, stage := range map[string]string{"1": a.won(), "20": cmp.Or(elsewhere[a.CRM], a.won())} {
			before := a.deal(deal).Stage
			require.NotEqual(a, stage, before)
			a.paid(deal)
			require.Equal(a, stage, a.deal(deal).Stage, "deal %s was in %s", deal, before)
		}
	})
}
