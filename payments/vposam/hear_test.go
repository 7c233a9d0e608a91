package vposam_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/payments/vposam/vposamtest"
)

var sentAt = time.Unix(1_790_000_000, 0)

func notice(body, signature string, received time.Time) payments.Notice {
	return payments.Notice{Method: "POST", Header: http.Header{"X-Vpos-Signature": {signature}}, Body: []byte(body), ReceivedAt: received}
}

const event = `{"id":"evt_1","type":"payment_session.captured","data":{"id":"ps_1","merchantOrderId":"DP-1-1","status":"captured"}}`

func TestOnlyAGoodSignatureIsAuthentic(t *testing.T) {
	p := vposam.New(vposam.Config{})
	good := vposamtest.Sign(secret, []byte(event), sentAt)
	other := strings.TrimPrefix(vposamtest.Sign("an older secret", []byte(event), sentAt), "t=1790000000,")
	for name, c := range map[string]struct {
		signature string
		received  time.Time
		want      bool
	}{
		"now":                     {good, sentAt, true},
		"at the end of tolerance": {good, sentAt.Add(300 * time.Second), true},
		"ahead within tolerance":  {good, sentAt.Add(-300 * time.Second), true},
		"too old":                 {good, sentAt.Add(301 * time.Second), false},
		"from the future":         {good, sentAt.Add(-301 * time.Second), false},
		"rotated secret":          {good + "," + other, sentAt, true},
		"rotated, ours second":    {"t=1790000000," + other + strings.TrimPrefix(good, "t=1790000000"), sentAt, true},
		"an unknown scheme too":   {good + ",v0=00", sentAt, true},
		"a broken v1 too":         {good + ",v1=zz", sentAt, true},
		"spaces":                  {strings.ReplaceAll(good, ",", ", "), sentAt, true},
		"only an unknown scheme":  {strings.ReplaceAll(good, "v1", "v0"), sentAt, false},
		"another secret":          {"t=1790000000," + other, sentAt, false},
		"no time":                 {strings.TrimPrefix(good, "t=1790000000,"), sentAt, false},
		"two times":               {"t=1790000000," + good, sentAt, false},
		"time changed":            {strings.Replace(good, "1790000000", "1790000001", 1), sentAt, false},
		"a pair without a value":  {good + ",v1", sentAt, false},
		"cut":                     {good[:len(good)-2], sentAt, false},
		"empty":                   {"", sentAt, false},
		"endless":                 {good + strings.Repeat(",v0=00", 2000), sentAt, false},
	} {
		heard, err := p.Hear(connection(token), notice(event, c.signature, c.received))
		require.NoError(t, err, name)
		require.Equal(t, c.want, heard.Authentic, name)
		require.True(t, heard.Signed)
		require.Equal(t, "DP-1-1", heard.Reference)
		require.Equal(t, "ps_1", heard.ProviderRef)
		require.Equal(t, c.want, heard.Key == "evt_1", "a forged notice must not take the genuine one's key")
	}
	twice := notice(event, good, sentAt)
	twice.Header.Add("X-Vpos-Signature", good)
	heard, err := p.Hear(connection(token), twice)
	require.NoError(t, err)
	require.False(t, heard.Authentic)
}

func TestABareSessionIsANoticeToo(t *testing.T) {
	p := vposam.New(vposam.Config{Now: func() time.Time { return sentAt }})
	body := `{"id":"ps_1","merchantOrderId":"DP-1-1"}`
	heard, err := p.Hear(connection(token), notice(body, vposamtest.Sign(secret, []byte(body), sentAt), time.Time{}))
	require.NoError(t, err)
	require.Equal(t, payments.Heard{Reference: "DP-1-1", ProviderRef: "ps_1", Authentic: true, Signed: true}, heard)
	for _, body := range []string{`{}`, `{"id":"evt_1","data":{"status":"paid"}}`, `{"data":{"id":"a b"}}`} {
		_, err := p.Hear(connection(token), notice(body, "", sentAt))
		require.ErrorIs(t, err, payments.ErrNotice, body)
	}
}

func FuzzHear(f *testing.F) {
	f.Add(event, "t=1790000000,v1=00")
	f.Add(`{"id":"ps_1"}`, "")
	f.Add(`{"data":{"id":"ps_1","amountMinor":1.5}}`, "t=,v1=,v1")
	p := vposam.New(vposam.Config{})
	f.Fuzz(func(t *testing.T, body, signature string) {
		heard, err := p.Hear(connection(token), notice(body, signature, sentAt))
		if err != nil {
			require.ErrorIs(t, err, payments.ErrNotice)
			return
		}
		require.False(t, heard.Authentic, "nobody guesses a signature")
		require.Empty(t, heard.Key)
		require.False(t, strings.ContainsAny(heard.Reference+heard.ProviderRef, " @/\"<>"))
		heard, err = p.Hear(connection(token), notice(body, vposamtest.Sign(secret, []byte(body), sentAt), sentAt))
		require.NoError(t, err)
		require.True(t, heard.Authentic)
	})
}

// FuzzLook gives any body as the answer about a session. No answer panics; what is paid has an amount; evidence never
// holds what an address, a phone number or a card needs.
func FuzzLook(f *testing.F) {
	for _, seed := range []string{
		`{"id":"ps_1","status":"captured","amountMinor":5,"currency":"AMD","disputes":[{"id":"d","amountMinor":5,"status":"opened"}]}`,
		`{"data":{"id":"ps_1","status":"refunded","amountMinor":"5","currency":"amd","customer":{"email":"a@b.c"}}}`,
		`{"id":"a@b.c","status":"+37400000000"}`, `[]`, `{"disputes":{}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		providertest.AnyAnswer(t, vposam.New(vposam.Config{}), connection(token), payments.Order{Reference: "o", ProviderRef: "ps_1"}, body)
	})
}
