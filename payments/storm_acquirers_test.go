package payments_test

import (
	"net/http"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/ameria/ameriatest"
	"github.com/dealpay/dealpay/payments/arca"
	"github.com/dealpay/dealpay/payments/arca/arcatest"
	"github.com/dealpay/dealpay/payments/fastshift"
	"github.com/dealpay/dealpay/payments/fastshift/fastshifttest"
	"github.com/dealpay/dealpay/payments/idram"
	"github.com/dealpay/dealpay/payments/idram/idramtest"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/stripe/stripetest"
	"github.com/dealpay/dealpay/payments/telcell"
	"github.com/dealpay/dealpay/payments/telcell/telcelltest"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/payments/vposam/vposamtest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// rig is an acquirer's double with our adapter, and what can happen to money there.
type rig struct {
	server interface {
		http.Handler
		Close()
		Books() []acquirertest.Entry
	}
	control     *standintest.Control
	provider    func(base string) payments.Provider
	credentials map[string]string
	hook        func(address string) // nil: the address comes with each order
	paths       []string             // what a call that moves money is named by, for the faults
	can         []string             // beside paid, declined, abandoned and wrong_amount; "orphan" and others of the control API
	signed      bool                 // its notices are signed, so a forged one is refused
}

// rigs make the doubles. What they send goes through post; dates is what dates a signature.
var rigs = map[string]func(post *http.Client, dates func() time.Time) rig{
	ameria.Key: func(*http.Client, func() time.Time) rig {
		double := ameriatest.New(ameriatest.Config{OrderMin: 1, OrderMax: 1 << 40, AnyAmount: true})
		return rig{server: double, control: double.Control, paths: []string{"InitPayment", "GetPaymentDetails", "RefundPayment"},
			credentials: map[string]string{"client_id": "00000000-0000-0000-0000-000000000000", "username": "test-user", "password": "test-pass",
				"merchant_id": "00000000", "mode": "test"},
			provider: func(base string) payments.Provider {
				return ameria.New(ameria.Config{TestURL: base + "/VPOS/", Now: double.Control.Clock.Now})
			},
			can: []string{"authorized", "wrong_currency", "merchant", "refund", "reverse"}}
	},
	arca.Key: func(post *http.Client, _ func() time.Time) rig {
		double := arcatest.New(arcatest.Config{CallbackKey: "callback-key", HTTP: post})
		return rig{server: double, control: double.Control, hook: double.Call, signed: true, paths: []string{"register.do", "getOrderStatus", "refund.do", "reverse.do"},
			credentials: map[string]string{"gateway": "ipay-test", "username": "shop_api", "password": "test-pass", "terminal_id": "00000001",
				"callback_key": "callback-key"},
			provider: func(base string) payments.Provider {
				return arca.New(arca.Config{Gateways: map[string]string{"ipay-test": base + "/payment/rest/"}, Now: double.Control.Clock.Now})
			},
			can: []string{"authorized", "wrong_currency", "merchant", "refund", "reverse", "callback"}}
	},
	idram.Key: func(post *http.Client, _ func() time.Time) rig {
		double := idramtest.New(idramtest.Config{HTTP: post})
		return rig{server: double, control: double.Control, hook: double.Call, signed: true,
			credentials: map[string]string{"account": "100000114", "secret": "test-secret-key"},
			provider: func(base string) payments.Provider {
				return idram.New(idram.Config{PayURL: base + "/Payment/GetPayment"})
			}}
	},
	telcell.Key: func(post *http.Client, _ func() time.Time) rig {
		double := telcelltest.New(telcelltest.Config{PartialRefunds: true, HTTP: post})
		return rig{server: double, control: double.Control, hook: double.SetResult, signed: true, paths: []string{"bill", "check_bill", "refund_bill", "cancel_bill"},
			credentials: map[string]string{"issuer": "shop@example.am", "shop_key": "test-shop-key", "mode": "test", "buyer": "+37400000000"},
			provider: func(base string) payments.Provider {
				return telcell.New(telcell.Config{TestURL: base + "/proto_test2/invoices", PageURL: base + "/payments/invoice/", PartialRefunds: true,
					Now: double.Control.Clock.Now})
			},
			can: []string{"wrong_currency", "merchant", "refund", "reverse", "orphan"}}
	},
	fastshift.Key: func(post *http.Client, _ func() time.Time) rig {
		double := fastshifttest.New(fastshifttest.Config{HTTP: post})
		return rig{server: double, control: double.Control, paths: []string{"register", "status"},
			credentials: map[string]string{"token": "fastshift-test-token"},
			provider: func(base string) payments.Provider {
				return fastshift.New(fastshift.Config{BaseURL: base + "/api/en/", Now: double.Control.Clock.Now})
			},
			can: []string{"merchant", "orphan"}}
	},
	stripe.Key: func(post *http.Client, dates func() time.Time) rig {
		double := stripetest.New(stripetest.Config{HTTP: post, PerSecond: 1 << 30, Dates: dates})
		return rig{server: double, control: double.Control, hook: double.SetWebhook, signed: true, paths: []string{"sessions", "refunds", "disputes"},
			credentials: map[string]string{"secret_key": "sk_test_demo", "webhook_secret": "whsec_test_demo"},
			provider: func(base string) payments.Provider {
				return stripe.New(stripe.Config{BaseURL: base, Now: double.Control.Clock.Now})
			},
			can: []string{"authorized", "wrong_currency", "merchant", "refund", "refund_status", "dispute"}}
	},
	vposam.Key: func(post *http.Client, dates func() time.Time) rig {
		double := vposamtest.New(vposamtest.Config{HTTP: post, PerSecond: 1 << 30, Dates: dates})
		return rig{server: double, control: double.Control, signed: true, paths: []string{"payment-sessions", "refunds"},
			credentials: map[string]string{"token": "vpos-test-token", "webhook_secret": "vpos-test-secret", "merchant_id": "merchant-1"},
			provider: func(base string) payments.Provider {
				return vposam.New(vposam.Config{BaseURL: base, Now: double.Control.Clock.Now})
			},
			can: []string{"authorized", "wrong_currency", "merchant", "refund", "reverse", "dispute", "orphan"}}
	},
}
