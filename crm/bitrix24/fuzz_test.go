package bitrix24

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/crm"
)

func FuzzParseEvent(f *testing.F) {
	for _, seed := range []string{"", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=759&auth[member_id]=a223c6b3710f85df22e9377d6c4f7553&auth[application_token]=51856fefc120afa4b628cc82d3935cce",
		"event=ONAPPUNINSTALL&data[CLEAN]=1&auth[member_id]=a223c6b3710f85df22e9377d6c4f7553&auth[application_token]=51856fef", "event=%zz", "event=ONAPPPAYMENT&auth=1;2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		e, err := ParseEvent(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		if err == nil && (e.AccountKey == "" || (e.Kind == crm.DealChanged || e.Kind == crm.DealDeleted) && !isID(e.DealID)) {
			t.Fatalf("accepted %q as %+v", body, e)
		}
	})
}

func FuzzParseRobot(f *testing.F) {
	f.Add("code=dealpay_link&event_token=0123456789abcdef%7CA1_2&document_id[2]=DEAL_7&properties[amount]=1500.5&properties[purpose]=" +
		"&auth[member_id]=a223c6b3710f85df22e9377d6c4f7553&auth[application_token]=51856fefc120afa4b628cc82d3935cce")
	f.Fuzz(func(t *testing.T, body string) {
		call, err := ParseRobot(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		if err != nil {
			return
		}
		if !isID(call.DealID) || !memberID.MatchString(call.AccountKey) || call.AppToken == "" || len(call.Token) > 512 {
			t.Fatalf("accepted %+v", call)
		}
		for name, v := range call.Properties {
			if v == "" || len(v) > longestProperty || len(name) > 32 {
				t.Fatalf("property %q of %d bytes", name, len(v))
			}
		}
	})
}

func FuzzReadOpening(f *testing.F) {
	f.Add("DOMAIN=acme.bitrix24.com&PROTOCOL=1&LANG=en", "AUTH_ID=9d4c7166007e&member_id=d897063e1ce7c5eb&PLACEMENT=CRM_DEAL_DETAIL_TAB&PLACEMENT_OPTIONS={\"ID\":\"1\"}")
	f.Add("DOMAIN=acme.bitrix24.com:443&PROTOCOL=1", "SERVER_ENDPOINT=https%3A%2F%2Foauth.bitrix.info%2Frest%2F&PLACEMENT_OPTIONS=[]")
	f.Add("DOMAIN=::1", "=")
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.RawQuery = query
		o, err := readOpening(r)
		if err == nil && strings.ContainsAny(o.Domain+o.Token+o.Member, "/@ \r\n?#") {
			t.Fatalf("accepted %+v", o)
		}
	})
}

func FuzzReadBatch(f *testing.F) {
	f.Add(200, []byte(`{"result":{"result":{"c00":{"id":1}},"result_error":[],"result_next":[],"result_time":{"c00":{"operating":1.5,"operating_reset_at":1705765533}}},"time":{"operating":0}}`))
	f.Add(200, []byte(`{"result":{"result":[],"result_error":{"c00":{"error":200640400001,"error_description":"Not found"},"c01":{"error":""}}}}`))
	f.Add(503, []byte(`{"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}`))
	f.Add(403, []byte("<html>"))
	f.Add(200, []byte(`{"error":{"code":"BITRIX_REST_V3_EXCEPTION","message":"x"},"time":[1]}`))
	account := New(Config{})
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		cmds := []command{{method: "crm.item.get"}, {method: "crm.item.update"}}
		got, _, fail := account.read(reply{status: status, body: body}, cmds)
		if fail == nil && len(got) != len(cmds) {
			t.Fatalf("%d answers", len(got))
		}
		for _, a := range got {
			if a.err == nil && a.result == nil {
				t.Fatal("neither an answer nor an error")
			}
		}
	})
}

func FuzzParseDeal(f *testing.F) {
	f.Add([]byte(`{"item":{"id":1,"opportunity":999.9,"currencyId":"USD","UF_CRM_DEAL_DEALPAY_PAID":"100.00|AMD","UF_CRM_DEAL_DEALPAY_STATUS":7}}`))
	f.Add([]byte(`{"item":{"id":"1","opportunity":1.0e+25,"closed":"Y","UF_CRM_DEAL_DEALPAY_PAID_AT":"2026-11-24T06:00:59+03:00"}}`))
	f.Add([]byte(`{"item":[]}`))
	l := layout{Fields: map[string]field{}, Options: map[crm.Status]string{crm.Paid: "7"}}
	for _, key := range crm.FieldKeys {
		l.Fields[key] = field{"1", fieldName(key)}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseDeal(json.RawMessage(raw), l)
		if err == nil && d.ID == "" {
			t.Fatal("a deal without an id")
		}
		if strings.ContainsAny(d.Amount.Decimal, "eE/") {
			t.Fatalf("amount %q", d.Amount.Decimal)
		}
		parseContact(json.RawMessage(raw))
	})
}
