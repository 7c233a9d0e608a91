package idram

import (
	"crypto/md5" // the scheme is Idram's; it is only ever believed together with the amount
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// yerevan is where Idram's dates are.
var yerevan = time.FixedZone("AMT", 4*60*60)

// call is one of Idram's two calls. The payer's account is needed for the checksum and kept nowhere.
type call struct {
	precheck          bool
	bill, account     string
	amount            payments.Money
	written           string // the amount as it came
	payer, trans, day string
	date              time.Time
	checksum          string
}

// read reads a call strictly: each value can only be what it is documented to be. Error: ErrNotice.
func read(n payments.Notice) (call, error) {
	f, err := wire.Form(n)
	if err != nil {
		return call{}, fmt.Errorf("idram: %w", err)
	}
	in := call{bill: f["EDP_BILL_NO"], account: f["EDP_REC_ACCOUNT"], written: f["EDP_AMOUNT"], payer: f["EDP_PAYER_ACCOUNT"],
		trans: f["EDP_TRANS_ID"], day: f["EDP_TRANS_DATE"], checksum: f["EDP_CHECKSUM"]}
	asks, isAsked := f["EDP_PRECHECK"]
	in.precheck = isAsked
	in.amount, err = state.Parse(in.written, "AMD")
	bad := err != nil || !in.amount.Valid() || !part(in.bill) || !number(in.account)
	if isAsked {
		bad = bad || asks != "YES" || in.checksum != ""
	} else {
		in.date, err = time.ParseInLocation("02/01/2006", in.day, yerevan)
		bad = bad || err != nil || !number(in.payer) || !part(in.trans) || len(in.trans) > 40
	}
	if bad {
		return call{}, fmt.Errorf("%w: idram: a value is not as documented", payments.ErrNotice)
	}
	return in, nil
}

// genuine verifies the checksum with our own account; the amount counts as it came, or with two decimals as the
// description says, which is the same number. An empty secret verifies nothing.
func (in call) genuine(c payments.Connection) bool {
	account, secret := c.Credentials["account"], c.Credentials["secret"]
	given, err := hex.DecodeString(in.checksum)
	if err != nil || secret == "" || in.account != account {
		return false
	}
	good := 0
	for _, amount := range []string{in.written, in.amount.Decimal()} {
		want := md5.Sum([]byte(strings.Join([]string{account, amount, secret, in.bill, in.payer, in.trans, in.day}, ":")))
		good |= subtle.ConstantTimeCompare(given, want[:])
	}
	return good == 1
}

// Precheck reads Idram's question whether it may take money for a bill. It is unsigned, so it may only be answered: no
// more than created may become pending by it. Errors: ErrNotice for everything that is not a precheck, ErrRefused for
// one that names another account.
func (p *Provider) Precheck(c payments.Connection, n payments.Notice) (string, payments.Money, error) {
	in, err := read(n)
	switch {
	case err != nil:
		return "", payments.Money{}, err
	case !in.precheck:
		return "", payments.Money{}, fmt.Errorf("%w: idram: not a precheck", payments.ErrNotice)
	case in.account != c.Credentials["account"]:
		return "", payments.Money{}, fmt.Errorf("%w: idram: a precheck for another account", payments.ErrRefused)
	}
	return in.bill, in.amount, nil
}

// Hear reads a confirmation. A precheck is not one: heard as a notice it would be answered with a yes that nobody
// decided.
func (p *Provider) Hear(c payments.Connection, n payments.Notice) (payments.Heard, error) {
	in, err := read(n)
	if err != nil {
		return payments.Heard{}, err
	}
	if in.precheck {
		return payments.Heard{}, fmt.Errorf("%w: idram: a precheck tells nothing", payments.ErrNotice)
	}
	heard := payments.Heard{Reference: in.bill, ProviderRef: in.trans, Signed: true, Authentic: in.genuine(c)}
	if heard.Authentic {
		heard.Key = in.bill + ":" + in.trans
	}
	return heard, nil
}

// Tell is what a confirmation proves: this amount was paid for this bill. The caller compares both with what it asked.
// A date is all that Idram says of the time. Error: ErrNotice, also for a checksum that is not good.
func (p *Provider) Tell(c payments.Connection, n payments.Notice) (payments.Observation, error) {
	in, err := read(n)
	if err != nil {
		return payments.Observation{}, err
	}
	if in.precheck || !in.genuine(c) {
		return payments.Observation{}, fmt.Errorf("%w: idram: not a genuine confirmation", payments.ErrNotice)
	}
	raw, err := json.Marshal(map[string]string{"EDP_BILL_NO": in.bill, "EDP_REC_ACCOUNT": in.account, "EDP_AMOUNT": in.amount.Decimal(),
		"EDP_TRANS_ID": in.trans, "EDP_TRANS_DATE": in.date.Format(time.DateOnly)})
	return payments.Observation{Status: state.AttemptPaid, Captured: in.amount, Reference: in.bill, ProviderRef: in.trans, PaidAt: in.date, Raw: raw}, err
}

// Reply is what decides about the money. After a confirmation: 200 and exactly OK keeps it for good; 200 with anything
// else gives it back to the customer; any other status keeps it and alerts Idram. So "no" is a 200, and a forger or our
// own failure never is. After a precheck everything but 200 and OK is a no.
func (p *Provider) Reply(outcome payments.Outcome) (status int, contentType string, body []byte) {
	reply, known := replies[outcome]
	if !known {
		reply = replies[payments.Broken]
	}
	return reply.status, "text/plain; charset=utf-8", []byte(reply.body)
}

var replies = map[payments.Outcome]struct {
	status int
	body   string
}{
	payments.Accepted:   {http.StatusOK, "OK"},
	payments.Duplicate:  {http.StatusOK, "OK"},
	payments.Rejected:   {http.StatusOK, "REFUSED"},
	payments.Unverified: {http.StatusForbidden, "UNVERIFIED"},
	payments.Broken:     {http.StatusServiceUnavailable, "TRY LATER"},
}
