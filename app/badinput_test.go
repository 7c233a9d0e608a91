package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments/vposam/vposamtest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

// wrong is a request that must be refused, and how.
type wrong struct {
	name, method, path, body string
	status                   int
	code                     string // empty: any
}

// tries sends the requests with a key and requires that each is refused clearly and that nothing changed.
func (a *account) tries(all []wrong) {
	a.Helper()
	a.quiet()
	before := a.print()
	for _, w := range all {
		var body any
		if w.body != "" {
			body = w.body
		}
		got := a.api(w.method, w.path, body, once()...)
		require.Equal(a, w.status, got.Status, "%s %s, %s: %s", w.method, w.path, w.name, got.Body)
		code := w.code
		if code == "" {
			code = got.code()
		}
		require.NotEmpty(a, code, "%s: %s", w.name, got.Body)
		refused(a.scene, w.status, code, got)
	}
	a.quiet()
	require.Equal(a, before, a.print(), "nothing changed")
}

const (
	post, put, patch = http.MethodPost, http.MethodPut, http.MethodPatch
	amountOf         = `{"deal_id": "1", "amount": {"minor": %s, "currency": "%s"}}`
)

func creations() []wrong {
	all := []wrong{
		{"no deal", post, "/invoices", `{}`, 400, "deal_id_missing"},
		{"a deal id without end", post, "/invoices", `{"deal_id": "` + strings.Repeat("1", 65) + `"}`, 400, "deal_id_missing"},
		{"a deal that is not there", post, "/invoices", `{"deal_id": "999999"}`, 404, "deal_not_found"},
		{"a past expiry", post, "/invoices", `{"deal_id": "1", "expires_at": "2020-01-01T00:00:00Z"}`, 422, "expiry_past"},
		{"an expiry in another century", post, "/invoices", `{"deal_id": "1", "expires_at": "2199-01-01T00:00:00Z"}`, 422, "expiry_too_far"},
		{"an expiry that is no time", post, "/invoices", `{"deal_id": "1", "expires_at": "tomorrow"}`, 400, "body_unreadable"},
		{"no purpose", post, "/invoices", `{"deal_id": "1", "purpose": " "}`, 422, "purpose_empty"},
		{"a long purpose", post, "/invoices", `{"deal_id": "1", "purpose": "` + strings.Repeat("ա", 251) + `"}`, 422, "purpose_unusable"},
		{"a purpose of two lines", post, "/invoices", `{"deal_id": "1", "purpose": "a\nb"}`, 422, "purpose_unusable"},
		{"a purpose that PostgreSQL cannot keep", post, "/invoices", `{"deal_id": "1", "purpose": "a\u0000b"}`, 400, "body_unreadable"},
		{"an escape that only looks like one", post, "/invoices", `{"deal_id": "999999", "purpose": "a\\u0000b"}`, 404, "deal_not_found"},
		{"an acquirer that is not connected", post, "/invoices", `{"deal_id": "1", "acquirer": "swift"}`, 422, "no_acquirer"},
	}
	for _, odd := range []string{"1 OR 1=1", "../1", "1;--", "NaN", "1e3", "-1", "0", "১", "<b>1</b>"} {
		all = append(all, wrong{"a deal id " + odd, post, "/invoices", `{"deal_id": "` + odd + `"}`, 404, ""})
	}
	for minor, w := range map[string]wrong{"-1": {code: "amount_not_positive", status: 422}, "0": {code: "amount_not_positive", status: 422},
		"1.5": {code: "body_unreadable", status: 400}, "1e30": {code: "body_unreadable", status: 400}, `"100"`: {code: "body_unreadable", status: 400},
		"9223372036854775807": {code: "amount_too_large", status: 422}, "1000000000001": {code: "amount_too_large", status: 422},
		"9223372036854775808": {code: "body_unreadable", status: 400}} {
		all = append(all, wrong{"an amount of " + minor, post, "/invoices", fmt.Sprintf(amountOf, minor, "AMD"), w.status, w.code})
	}
	for _, currency := range []string{"XXQ", "amd", "", "AM", "AMDD", "֏"} {
		all = append(all, wrong{"a currency " + currency, post, "/invoices", fmt.Sprintf(amountOf, "100", currency), 422, "currency_unknown"})
	}
	all = append(all, wrong{"a currency that is not the deal's", post, "/invoices", fmt.Sprintf(amountOf, "100", "USD"), 422, "currency_not_the_deals"})
	return append(all, wrong{"a currency that nobody takes", post, "/invoices", fmt.Sprintf(amountOf, "100", "JPY"), 422, "no_acquirer"})
}

func TestARequestThatMakesNoSenseIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.accounts[crm.AmoCRM].tries(creations()[3:4])
	a := s.accounts[crm.Bitrix24]
	a.tries(creations())
	open, paid := a.owes("2"), a.paid("3")
	wrongOne := a.owes("4")
	s.pays(s.press(wrongOne), "wrong_amount", 1)
	a.becomes(wrongOne, "manual_review")
	e := a.exceptions("4")[0].Id
	a.tries(aboutInvoices("/invoices/"+open.Id, "/invoices/"+paid.Id))
	a.tries(aboutRest("/exceptions/" + e + "/resolve"))
	a.tries(lists())
	before := a.print()
	for _, path := range []string{"/invoices", "/invoices/" + paid.Id + "/refunds"} {
		for _, key := range [][]string{nil, {"Idempotency-Key", strings.Repeat("k", 201)}} {
			got := a.api(post, path, `{"deal_id": "1", "amount": {"minor": 100, "currency": "AMD"}}`, key...)
			if path != "/invoices" {
				got = a.api(post, path, bodies["POST /api/v1/invoices/:id/refunds"], key...)
			}
			refused(s, http.StatusBadRequest, "idempotency_key_missing", got)
		}
	}
	require.Equal(t, before, a.print())
}

func aboutInvoices(open, paid string) []wrong {
	money := func(path, before, minor, currency string) string {
		return fmt.Sprintf(`{%s, "amount": {"minor": %s, "currency": "%s"}}`, before, minor, currency)
	}
	cash := `"method": "cash", "received_at": "2026-01-02T03:04:05Z", "reference": "r", "reason": "r"`
	why := `"reason": "r"`
	return []wrong{
		{"edit to nothing", patch, open, `{"amount": {"minor": -5, "currency": "AMD"}}`, 422, "amount_not_positive"},
		{"edit to another currency without acquirer", patch, open, `{"amount": {"minor": 5, "currency": "JPY"}}`, 422, "no_acquirer"},
		{"edit into the past", patch, open, `{"expires_at": "2020-01-01T00:00:00Z"}`, 422, "expiry_past"},
		{"edit what is paid", patch, paid, `{"purpose": "x"}`, 409, "locked"},
		{"send in a language that nobody wrote", post, open + "/send", `{"channel": "copy", "language": "xx"}`, 422, "language_unknown"},
		{"send to an address without end", post, open + "/send", `{"channel": "copy", "to": "` + strings.Repeat("a", 255) + `"}`, 422, "address_unusable"},
		{"send by e-mail to no address", post, open + "/send", `{"channel": "email", "to": "not an address"}`, 422, "address_unusable"},
		{"send by e-mail to somebody with a name", post, open + "/send", `{"channel": "email", "to": "A <a@example.com>"}`, 422, "address_unusable"},
		{"send by e-mail to two", post, open + "/send", `{"channel": "email", "to": "a@example.com, b@example.com"}`, 422, "address_unusable"},
		{"send by e-mail with a heading", post, open + "/send", `{"channel": "email", "to": "a@example.com\r\nBcc: b@example.com"}`, 422, "address_unusable"},
		{"send by SMS to a name", post, open + "/send", `{"channel": "sms", "to": "the customer"}`, 422, "address_unusable"},
		{"send by WhatsApp to too little", post, open + "/send", `{"channel": "whatsapp", "to": "1234"}`, 422, "address_unusable"},
		{"send by Viber to too much", post, open + "/send", `{"channel": "viber", "to": "+374101234567890123456"}`, 422, "address_unusable"},
		{"refund with a novel", post, paid + "/refunds", money(paid, `"reason": "`+strings.Repeat("r", 1001)+`"`, "1", "AMD"), 422, "reason_unusable"},
		{"cash with a novel", post, open + "/payments", money(open, strings.Replace(cash, `"reason": "r"`, `"reason": "`+strings.Repeat("r", 1001)+`"`, 1), "1", "AMD"), 422, "reason_unusable"},
		{"cash with a reference without end", post, open + "/payments", money(open, strings.Replace(cash, `"reference": "r"`, `"reference": "`+strings.Repeat("r", 201)+`"`, 1), "1", "AMD"), 422, "reference_unusable"},
		{"a message in a language that nobody wrote", http.MethodGet, open + "/message?language=xx", "", 400, "language_unknown"},
		{"send by pigeon", post, open + "/send", `{"channel": "pigeon"}`, 422, "channel_unknown"},
		{"send by nothing", post, open + "/send", `{}`, 422, "channel_unknown"},
		{"send what is paid", post, paid + "/send", `{"channel": "copy"}`, 409, "not_payable"},
		{"the message of what is paid", http.MethodGet, paid + "/message", "", 409, "not_payable"},
		{"cancel what is paid", post, paid + "/cancel", "", 409, "state"},
		{"refund what is not paid", post, open + "/refunds", money(open, why, "1", "AMD"), 409, "state"},
		{"refund nothing", post, paid + "/refunds", money(paid, why, "0", "AMD"), 422, ""},
		{"refund less than nothing", post, paid + "/refunds", money(paid, why, "-1", "AMD"), 422, ""},
		{"refund too much", post, paid + "/refunds", money(paid, why, "2000001", "AMD"), 422, "refund_too_large"},
		{"refund another currency", post, paid + "/refunds", money(paid, why, "1", "USD"), 422, ""},
		{"refund without a reason", post, paid + "/refunds", money(paid, `"reason": " "`, "1", "AMD"), 422, "reason_empty"},
		{"cash in shells", post, open + "/payments", money(open, strings.Replace(cash, `"cash"`, `"shells"`, 1), "1", "AMD"), 422, "method_unknown"},
		{"cash of nothing", post, open + "/payments", money(open, cash, "0", "AMD"), 422, ""},
		{"cash of more than there is", post, open + "/payments", money(open, cash, "4611686018427387904", "AMD"), 422, "amount_too_large"},
		{"refund more than there is", post, paid + "/refunds", money(paid, why, "4611686018427387904", "AMD"), 422, "amount_too_large"},
		{"cash of another currency", post, open + "/payments", money(open, cash, "1", "USD"), 422, "currency_mixed"},
		{"cash of the future", post, open + "/payments", money(open, strings.Replace(cash, "2026-01", "2199-01", 1), "1", "AMD"), 422, "time_unusable"},
		{"cash without a reference", post, open + "/payments", money(open, strings.Replace(cash, `"reference": "r"`, `"reference": ""`, 1), "1", "AMD"), 422, "reference_empty"},
		{"cash for what is paid", post, paid + "/payments", money(paid, cash, "1", "AMD"), 409, "state"},
		{"an id that is none", http.MethodGet, "/invoices/1%27", "", 404, "not_found"},
		{"undo what was never recorded", post, "/payments/" + missingID + "/reverse", `{"reason": "r"}`, 404, "not_found"},
		{"undo without a reason", post, "/payments/" + missingID + "/reverse", `{"reason": ""}`, 422, "reason_empty"},
	}
}

func aboutRest(resolve string) []wrong {
	settings := func(from, to string) string {
		return strings.Replace(`{"language": "en", "time_zone": "Asia/Yerevan", "link_hours": 72, "merchant": "", "accent": "", "stages": {}}`, from, to, 1)
	}
	fields := func(inner string) string { return settings(`"stages": {}`, `"stages": {}, "fields": {`+inner+`}`) }
	stages := func(inner string) string { return settings(`"stages": {}`, `"stages": {`+inner+`}`) }
	acquirer := "/acquirers/" + demo.Acquirer
	return []wrong{
		{"decide what is not offered", post, resolve, `{"decision": "keep", "reason": "r"}`, 422, "decision_not_offered"},
		{"decide without a reason", post, resolve, `{"decision": "accept", "reason": ""}`, 422, "reason_empty"},
		{"a language", put, "/settings", settings(`"en"`, `"xx"`), 422, "language_unknown"},
		{"a zone", put, "/settings", settings("Asia/Yerevan", "Mars/Base"), 422, "time_zone_unknown"},
		{"a zone that is a path", put, "/settings", settings("Asia/Yerevan", "../../etc/passwd"), 422, "time_zone_unknown"},
		{"no hours", put, "/settings", settings("72", "0"), 422, "link_hours_unusable"},
		{"hours of years", put, "/settings", settings("72", "100000"), 422, "link_hours_unusable"},
		{"a colour", put, "/settings", settings(`"accent": ""`, `"accent": "red;}"`), 422, "accent_unusable"},
		{"a name", put, "/settings", settings(`"merchant": ""`, `"merchant": "`+strings.Repeat("a", 81)+`"`), 422, "merchant_too_long"},
		{"a pipeline", put, "/settings", stages(`"77": {"paid": "WON"}`), 422, "pipeline_unknown"},
		{"a stage", put, "/settings", stages(`"0": {"paid": "SOLD"}`), 422, "stage_unknown"},
		{"a status", put, "/settings", stages(`"0": {"hoped": "NEW"}`), 422, "status_unknown"},
		{"winning before the money came", put, "/settings", stages(`"0": {"awaiting_payment": "WON"}`), 422, "won_unpaid"},
		{"a pipeline of fields", put, "/settings", fields(`"77": {"paid": "-"}`), 422, "pipeline_unknown"},
		{"a value", put, "/settings", fields(`"0": {"owner": "-"}`), 422, "value_unknown"},
		{"a field", put, "/settings", fields(`"0": {"status": "UF_CRM_NOTHING"}`), 422, "field_unknown"},
		{"a field that is the deal's own", put, "/settings", fields(`"0": {"status": "TITLE"}`), 422, "field_unknown"},
		{"a field that is ours", put, "/settings", fields(`"0": {"reference": "UF_CRM_DEAL_DEALPAY_REFERENCE"}`), 422, "field_unknown"},
		{"a field of links for an amount", put, "/settings", fields(`"0": {"paid": "UF_CRM_1721244707104"}`), 422, "field_unfitting"},
		{"a field of many texts", put, "/settings", fields(`"0": {"status": "UF_CRM_1721244707107"}`), 422, "field_unfitting"},
		{"a field twice", put, "/settings", fields(`"0": {"status": "UF_CRM_1721244707101", "reference": "UF_CRM_1721244707101"}`), 422, "field_taken"},
		{"fields that are none", put, "/settings", fields(`"0": "-"`), 400, "body_unreadable"},
		{"an acquirer that nobody knows", put, "/acquirers/swift", `{"credentials": {}}`, 404, "not_found"},
		{"a credential of two lines", put, acquirer, `{"credentials": {"token": "a\nb", "webhook_secret": "s"}}`, 422, "credential_unusable"},
		{"a credential that nobody asked for", put, acquirer, `{"credentials": {"token": "t", "webhook_secret": "s", "url": "http://169.254.169.254"}}`, 422, "credential_unknown"},
		{"credentials that are not accepted", put, acquirer, `{"credentials": {"token": "wrong", "webhook_secret": "s"}}`, 422, "credentials"},
		{"credentials that are not accepted, tried", post, acquirer + "/test", `{"credentials": {"token": "wrong"}}`, 422, "credentials"},
		{"leaving an acquirer that is not connected", http.MethodDelete, "/acquirers/swift", "", 404, "not_found"},
		{"a key without a name", post, "/api-keys", `{"name": " ", "role": "admin"}`, 422, "name_unusable"},
		{"a key for a king", post, "/api-keys", `{"name": "k", "role": "king"}`, 422, "role_unknown"},
		{"a key that is not there", http.MethodDelete, "/api-keys/" + missingID, "", 404, "not_found"},
		{"a key id that is none", http.MethodDelete, "/api-keys/x", "", 404, "not_found"},
		{"replaying nothing", post, "/replay", `{}`, 400, "nothing_chosen"},
		{"a card without a deal", http.MethodGet, "/card", "", 400, "deal_id_missing"},
		{"a deal that is not there", http.MethodGet, "/deals/999999", "", 404, "deal_not_found"},
	}
}

func lists() []wrong {
	return []wrong{
		{"a cursor", http.MethodGet, "/invoices?after=yesterday", "", 400, "cursor_unreadable"},
		{"a deal that is no text", http.MethodGet, "/invoices?deal_id=%00", "", 400, "address_unreadable"},
		{"a deal that is no text", http.MethodGet, "/deals/%00", "", 400, "address_unreadable"},
		{"a deal that is no UTF-8", http.MethodGet, "/invoices?deal_id=%FF", "", 400, "address_unreadable"},
		{"a cursor", http.MethodGet, "/exceptions?after=1", "", 400, "cursor_unreadable"},
		{"a cursor", http.MethodGet, "/audit?after=-1", "", 400, "cursor_unreadable"},
		{"a cursor", http.MethodGet, "/audit?after=99999999999999999999", "", 400, "cursor_unreadable"},
		{"a status", http.MethodGet, "/invoices?status=hoped", "", 400, "status_unknown"},
		{"a method", http.MethodDelete, "/invoices", "", 405, "method_not_allowed"},
		{"a method", put, "/invoices/" + missingID, "{}", 405, "method_not_allowed"},
		{"an address", http.MethodGet, "/invoices/" + missingID + "/secrets", "", 404, "not_found"},
		{"an address", http.MethodGet, "/", "", 404, "not_found"},
	}
}

func TestABodyThatIsNoneIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	in := a.owes("1")
	var all []wrong
	for _, r := range s.routes() {
		path := strings.NewReplacer(":id", in.Id, ":acquirer", demo.Acquirer, ":n", "1").Replace(strings.TrimPrefix(r.Path, "/api/v1"))
		takes := r.Method != http.MethodGet && r.Method != http.MethodDelete && r.Method != http.MethodOptions
		if !takes || strings.HasSuffix(path, "/cancel") || strings.HasSuffix(path, "/check") || strings.HasSuffix(path, "/repair") ||
			strings.HasSuffix(path, "/lock") || path == "/registers" { // these take no JSON
			continue
		}
		for name, body := range map[string]string{"broken": `{"a": `, "not JSON": `amount=1`, "two values": `{} {}`, "a list": `[]`, "a text": `"x"`,
			"an unknown member": `{"surprise": 1}`, "deep": strings.Repeat("[", 20_000), "not UTF-8": "{\"\xff\": 1}", "a zero character": `{"reason": "a\u0000"}`,
			"half a sign": `{"reason": "\ud83d"}`, "not UTF-8 in a text": "{\"reason\": \"\xff\"}", "a member twice": `{"reason": "a", "reason": "b"}`} {
			all = append(all, wrong{name, r.Method, path, body, 400, "body_unreadable"})
		}
		all = append(all, wrong{"large", r.Method, path, `{"x": "` + strings.Repeat("x", 70_000) + `"}`, 400, "body_too_large"})
	}
	require.Greater(t, len(all), 60)
	a.tries(all)
	a.endless("/api/v1/invoices")
}

func TestABodyIsReadInOneWayOnly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	var all []wrong
	for name, body := range map[string]string{"in other letters": `{"Deal_ID": "1"}`, "in both": `{"deal_id": "1", "DEAL_ID": "2"}`, "twice": `{"deal_id": "1", "deal_id": "2"}`,
		"twice within": `{"deal_id": "1", "amount": {"minor": 100, "minor": 200, "currency": "AMD"}}`, "half a sign": `{"deal_id": "1", "purpose": "a\udc00"}`,
		"not UTF-8": "{\"deal_id\": \"1\", \"purpose\": \"a\xc3\"}"} {
		all = append(all, wrong{name, post, "/invoices", body, 400, "body_unreadable"})
	}
	in := a.owes("2")
	cash := `{"method": "cash", "amount": {"minor": 1, "currency": "AMD"}, "received_at": "2026-01-02T03:04:05Z", "reference": "1", "reason": "2"}`
	for _, odd := range []string{`\u0007`, `\u001b[31m`, `\u0085`, `\u007f`, `\n`} {
		all = append(all, wrong{"purpose", post, "/invoices", `{"deal_id": "1", "purpose": "a` + odd + `b"}`, 422, "purpose_unusable"},
			wrong{"purpose", patch, "/invoices/" + in.Id, `{"purpose": "a` + odd + `b"}`, 422, "purpose_unusable"},
			wrong{"reference", post, "/invoices/" + in.Id + "/payments", strings.Replace(cash, `"1"`, `"a`+odd+`b"`, 1), 422, "reference_unusable"},
			wrong{"reason", post, "/invoices/" + in.Id + "/payments", strings.Replace(cash, `"2"`, `"a`+odd+`b"`, 1), 422, "reason_unusable"},
			wrong{"reason", post, "/payments/" + missingID + "/reverse", `{"reason": "a` + odd + `b"}`, 422, "reason_unusable"},
			wrong{"name", post, "/api-keys", `{"name": "a` + odd + `b", "role": "manager"}`, 422, "name_unusable"})
	}
	a.tries(all)
	before := a.print()
	for _, kind := range []string{"text/plain", "multipart/form-data; boundary=x", "application/jsonp", "json", "application/problem+json"} {
		refused(s, http.StatusUnsupportedMediaType, "media_type", a.api(post, "/invoices", `{"deal_id": "1"}`, append(once(), "Content-Type", kind)...))
	}
	require.Equal(t, before, a.print())
	for _, kind := range []string{"application/json;charset=UTF-8", "Application/JSON", "", "application/x-www-form-urlencoded"} {
		require.Equal(t, http.StatusCreated, a.api(post, "/invoices", `{"deal_id": "1", "amount": {"minor": 100, "currency": "AMD"}}`, append(once(), "Content-Type", kind)...).Status)
	}
	require.Equal(t, http.StatusOK, a.api(post, "/invoices/"+in.Id+"/cancel", nil, "Content-Type", "").Status, "without a body there is nothing to say")
}

// endless sends a body that never ends; the answer must come all the same.
func (a *account) endless(path string) {
	a.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+a.app[strings.LastIndex(a.app, ":")+1:])
	require.NoError(a, err)
	defer func() { _ = conn.Close() }()
	require.NoError(a, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: dealpay.localhost\r\nAuthorization: Bearer %s\r\nIdempotency-Key: endless\r\nTransfer-Encoding: chunked\r\n\r\n", path, a.APIKey)
	require.NoError(a, err)
	chunk := "1000\r\n" + strings.Repeat("[", 0x1000) + "\r\n"
	go func() {
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(a, err)
	require.Equal(a, http.StatusBadRequest, response.StatusCode)
}

func TestAStrangersNoticeOrOpeningIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a, amo := s.accounts[crm.Bitrix24], s.accounts[crm.AmoCRM]
	in := a.owes("1")
	s.press(in)
	hook := a.hook()
	body := notice("evt", "ps_x", in.Number+"-1", "captured")
	sign := func(secret string, at time.Time) []string {
		return []string{"X-Vpos-Signature", vposamtest.Sign(secret, []byte(body), at)}
	}
	a.quiet()
	amo.quiet()
	before, other := a.print(), amo.print()
	now := time.Now()
	for _, w := range []struct {
		name, address, body string
		headers             []string
		status              int
		code                string
	}{
		{"a hook that nobody has", s.app + "/hooks/vpos_am/" + tenants.NewToken(), body, sign(demo.VposSecret, now), 404, "not_found"},
		{"a hook of another acquirer", strings.Replace(hook, "vpos_am", "idram", 1), body, sign(demo.VposSecret, now), 404, "not_found"},
		{"a hook without a key", s.app + "/hooks/vpos_am/", body, nil, 404, "not_found"},
		{"no signature", hook, body, nil, 401, "notice_forged"},
		{"a signature with another secret", hook, body, sign("guess", now), 401, "notice_forged"},
		{"a signature of another body", hook, strings.Replace(body, "evt", "new", 1), sign(demo.VposSecret, now), 401, "notice_forged"},
		{"an old signature", hook, body, sign(demo.VposSecret, now.Add(-10*time.Minute)), 401, "notice_forged"},
		{"a signature of tomorrow", hook, body, sign(demo.VposSecret, now.Add(24*time.Hour)), 401, "notice_forged"},
		{"no notice", hook, "hello", nil, 400, "notice_unreadable"},
		{"a notice of nothing", hook, "{}", nil, 400, "notice_unreadable"},
		{"a notice of the longest size, and unreadable", hook, strings.Repeat("x", 64<<10), nil, 400, "notice_unreadable"},
		{"a notice without end", hook, strings.Repeat("x", 64<<10+1), nil, 413, "too_large"},
	} {
		got := s.send(post, w.address, w.body, w.headers...)
		require.Equal(t, w.status, got.Status, "%s: %s", w.name, got.Body)
		refused(s, w.status, w.code, got)
	}
	s.strangers(a, amo)
	a.quiet()
	require.Equal(t, before, a.print())
	require.Equal(t, other, amo.print())
}

// strangers are openings and links that nobody confirms.
func (s *scene) strangers(a, amo *account) {
	s.Helper()
	var token struct {
		Access  string `json:"access_token"`
		OneTime string `json:"one_time_token"`
	}
	require.NoError(s, json.Unmarshal(s.order(a.Account, "token", map[string]any{"user": "1"}), &token))
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	open := func(domain, access string) answer {
		return s.send(post, s.app+"/bitrix24/session?"+url.Values{"DOMAIN": {domain}, "PROTOCOL": {"1"}}.Encode(), a.opening(access, "1").Encode(), form...)
	}
	for _, domain := range []string{"evil.example", "acme.bitrix24.com.evil.example", "127.0.0.1:1", "localhost", "", "acme.bitrix24.com@evil.example"} {
		refused(s, http.StatusUnauthorized, "opening_not_confirmed", open(domain, token.Access))
		got := s.send(http.MethodGet, s.app+"/card?"+url.Values{"account": {domain}}.Encode(), nil)
		refused(s, http.StatusForbidden, "host_not_allowed", got)
		install := s.send(http.MethodGet, s.app+"/amocrm/install?"+url.Values{"code": {"abc"}, "referer": {domain}, "client_id": {demo.AmoCRMID}, "from_widget": {"1"}}.Encode(), nil)
		require.Contains(s, []int{400, 403, 422}, install.Status, string(install.Body))
	}
	refused(s, http.StatusUnauthorized, "opening_not_confirmed", open(a.host(), "guessed-access-token"))
	require.NoError(s, json.Unmarshal(s.order(amo.Account, "token", map[string]any{"user": 7000001}), &token))
	session := func(token string) answer {
		return s.send(post, s.app+"/api/v1/session", map[string]any{"deal_id": "1"}, "X-Auth-Token", token)
	}
	cut := token.OneTime[:len(token.OneTime)-4] + "AAAA"
	for _, one := range []string{"", "x", "a.b.c", cut, strings.Repeat("a", 9000)} {
		got := session(one)
		require.Contains(s, []int{401, 431}, got.Status, string(got.Body))
	}
	require.Equal(s, http.StatusOK, session(token.OneTime).Status)
	refused(s, http.StatusUnauthorized, "opening_not_confirmed", session(token.OneTime)) // it is used up
	for _, path := range []string{"", "/pay", "/back", "/status"} {
		for _, token := range []string{"x", tenants.NewToken(), strings.Repeat("y", 200)} {
			method := http.MethodGet
			if path == "/pay" {
				method = post
			}
			require.Equal(s, http.StatusNotFound, s.send(method, s.app+"/p/"+token+path, nil).Status, path)
		}
	}
}
