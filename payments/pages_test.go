package payments_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/fastshift"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/stretchr/testify/require"
)

// TestACustomerIsSentToTheAcquirersPagesOnly gives each adapter good answers whose page is somewhere else.
func TestACustomerIsSentToTheAcquirersPagesOnly(t *testing.T) {
	const id = "00000000-0000-4000-8000-000000000001"
	order := payments.Order{Attempt: id, Reference: "DP-1-1", Amount: payments.Money{Minor: 100_000, Currency: "AMD"}, ReturnURL: "https://pay.example/back"}
	for key, c := range map[string]struct {
		provider payments.Provider
		answer   string
		good     string   // a host for pages
		others   []string // hosts that are trusted, too
		strange  []string // hosts of the same acquirer that are none for pages
	}{
		stripe.Key: {stripe.New(stripe.Config{}), `{"id":"cs_1","status":"open","client_reference_id":"` + id + `","amount_total":100000,"currency":"amd","url":%q}`,
			"checkout.stripe.com", nil, []string{"stripe.com", "files.stripe.com"}},
		vposam.Key: {vposam.New(vposam.Config{}), `{"id":"ps_1","status":"created","amountMinor":100000,"currency":"AMD","checkoutUrl":%q}`,
			"vpos.am", []string{"pay.vpos.am", "api.vpos.am"}, nil},
		fastshift.Key: {fastshift.New(fastshift.Config{}), `{"status":"OK","data":{"order":{"order_number":"` + id + `","amount":1000},"redirect_url":%q}}`,
			"fastshift.am", []string{"pay.fastshift.am", "merchants.fastshift.am"}, nil},
	} {
		start := func(page string) error {
			conn := payments.Connection{HTTP: providertest.Answer(http.StatusOK, fmt.Sprintf(c.answer, page)), Credentials: map[string]string{
				"secret_key": "sk_test_1", "token": "t"}}
			checkout, err := c.provider.Start(t.Context(), conn, order)
			if err != nil {
				require.Empty(t, checkout.URL)
				return err
			}
			require.Equal(t, page, checkout.URL)
			return nil
		}
		for _, host := range append(c.others, c.good) {
			require.NoError(t, start("https://"+host+"/pay/1"), "%s %s", key, host)
		}
		for _, page := range []string{
			"https://evil" + c.good + "/pay/1", "https://" + c.good + ".evil.example/pay/1", "https://evil.example/" + c.good, "https://evil.example/?" + c.good,
			"https://user@" + c.good + "/pay/1", "https://user:word@" + c.good + "/pay/1", "https://" + c.good + "@evil.example/pay/1",
			"https://evil.example#" + c.good, `https://evil.example\.` + c.good + "/", "https://" + c.good + ":8443/pay/1",
			"http://" + c.good + "/pay/1", "//" + c.good + "/pay/1", "javascript:alert(1)//" + c.good, c.good, "",
		} {
			require.ErrorIs(t, start(page), payments.ErrRefused, "%s %s", key, page)
		}
		for _, host := range c.strange {
			require.ErrorIs(t, start("https://"+host+"/pay/1"), payments.ErrRefused, "%s %s", key, host)
		}
	}
}
