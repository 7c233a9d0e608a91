package ameria_test

import (
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/providertest"
)

// FuzzLook gives any body as the bank's answer.
func FuzzLook(f *testing.F) {
	for _, seed := range []string{
		`{"ResponseCode":"00","OrderStatus":"2","Currency":"051","ApprovedAmount":10.0,"DepositedAmount":10.0,"OrderID":"2350301","DateTime":"05/08/2026 12:44:56"}`,
		`{"ResponseCode":"00","OrderStatus":4,"Currency":"978","ApprovedAmount":"10.00","RefundedAmount":4,"ClientEmail":"a@b.c"}`,
		`{"OrderStatus":"3","Currency":"999","ApprovedAmount":10}`, `{"ResponseCode":"0-2007","OrderStatus":"6"}`,
		`{"ResponseCode":"550"}`, `{"PaymentId":"A","ResponseCode":"00","responsecode":"20"}`, `[]`, `null`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p := ameria.New(ameria.Config{})
		providertest.AnyAnswer(t, p, connection("p"), payments.Order{Attempt: "a", Number: 2350301, ProviderRef: "A"}, body)
		providertest.AnyAnswer(t, p, connection("p"), payments.Order{Attempt: "a", Number: 2350301}, body)
	})
}
