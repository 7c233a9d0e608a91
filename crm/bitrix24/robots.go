package bitrix24

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

// rule is an automation rule that people put into a pipeline (vendor documentation "Automation rules"). Texts are by the
// languages of crm.Langs.
type rule struct {
	code   string
	name   params
	about  params
	asks   map[string]property // what the person who sets it up may say
	brings map[string]property // what later rules of the scheme may use
}

type property struct {
	kind string
	name params
}

func texts(en, ru, hy string) params { return params{"en": en, "ru": ru, "hy": hy} }

var status = property{"string", texts("Payment status", "Статус оплаты", "Վճարման կարգավիճակ")}

var rules = []rule{
	{code: crm.RobotLink, name: texts("Dealpay: create payment link", "Dealpay: создать ссылку на оплату", "Dealpay. ստեղծել վճարման հղում"),
		about: texts("Makes a payment link for the deal. The next rules can send it.", "Создаёт ссылку на оплату по сделке. Её могут отправить следующие роботы.",
			"Ստեղծում է գործարքի վճարման հղում։ Այն կարող են ուղարկել հաջորդ ռոբոտները։"),
		asks: map[string]property{
			"amount":  {"double", texts("Amount (empty: what the deal still lacks)", "Сумма (пусто: сколько ещё не оплачено)", "Գումար (դատարկ՝ ինչ դեռ վճարված չէ)")},
			"purpose": {"string", texts("For", "За что", "Ինչի համար")},
			"days":    {"int", texts("Valid for days (empty: as in the settings)", "Действует дней (пусто: как в настройках)", "Վավեր օրեր (դատարկ՝ ինչպես կարգավորումներում)")},
		},
		brings: map[string]property{
			"link":   {"string", texts("Payment link", "Ссылка на оплату", "Վճարման հղում")},
			"number": {"string", texts("Number", "Номер", "Համար")},
			"amount": {"string", texts("Amount", "Сумма", "Գումար")},
			"status": status,
			"error":  {"string", texts("Why there is no link", "Почему нет ссылки", "Ինչու հղում չկա")},
		}},
	{code: crm.RobotWait, name: texts("Dealpay: wait for payment", "Dealpay: дождаться оплаты", "Dealpay. սպասել վճարմանը"),
		about: texts("Goes on when the deal is paid, or when its links expired or were cancelled.", "Продолжает, когда сделка оплачена или её ссылки истекли или отменены.",
			"Շարունակում է, երբ գործարքը վճարված է, կամ երբ հղումների ժամկետն անցել է կամ դրանք չեղարկված են։"),
		brings: map[string]property{"status": status,
			"paid":      {"string", texts("Paid", "Оплачено", "Վճարված")},
			"reference": {"string", texts("Payment reference", "Номер платежа", "Վճարման համար")}}},
}

// fields are a rule's parameters of bizproc.robot.add and .update, but for its code. It always waits for an answer.
func (r rule) fields(handlers string) params {
	described := func(all map[string]property) params {
		out := params{}
		for id, p := range all {
			out[id] = params{"Name": p.name, "Type": p.kind}
		}
		return out
	}
	deal := []string{"crm", "CCrmDocumentDeal", "DEAL"}
	p := params{"HANDLER": strings.TrimSuffix(handlers, "/") + "/" + r.code, "USE_SUBSCRIPTION": "Y", "NAME": r.name, "DESCRIPTION": r.about,
		"RETURN_PROPERTIES": described(r.brings), "DOCUMENT_TYPE": deal, "FILTER": params{"INCLUDE": params{"0": deal[:2]}}}
	if len(r.asks) > 0 {
		p["PROPERTIES"] = described(r.asks)
	}
	return p
}

// robots are the commands that bring our rules into order: those that are missing, and all of them after they were
// registered to call another address. Codes that we no longer know stay, because running schemes may hold them.
func (a *Account) robots(has found) []command {
	if !has.automation || a.c.Handlers.Robots == "" {
		return nil
	}
	var cmds []command
	for _, r := range rules {
		fields := r.fields(a.c.Handlers.Robots)
		switch {
		case !slices.Contains(has.robots, r.code):
			fields["CODE"] = r.code
			cmds = append(cmds, command{"bizproc.robot.add", fields})
		case a.layout.Robots != a.c.Handlers.Robots:
			cmds = append(cmds, command{"bizproc.robot.update", params{"CODE": r.code, "FIELDS": fields}})
		}
	}
	return cmds
}

var (
	printable   = regexp.MustCompile(`^[!-~]{8,512}$`)
	propertyKey = regexp.MustCompile(`^properties\[([a-z_]{1,32})\]$`)
)

// longestProperty bounds what a rule may be set up with.
const longestProperty = 1000

// ParseRobot reads the call of an automation rule of ours, which comes like an event. Its shape is that of the vendor's
// libraries; no page of the documentation shows it. Nothing in it is believed, and tokens that came along are ignored.
// Errors wrap ErrEvent.
func ParseRobot(r *http.Request) (crm.RobotCall, error) {
	values, err := form(r)
	if err != nil {
		return crm.RobotCall{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	c := crm.RobotCall{Code: values.Get("code"), AccountKey: values.Get("auth[member_id]"), AppToken: values.Get("auth[application_token]"),
		Token: values.Get("event_token"), Properties: map[string]string{}}
	kind, id, _ := strings.Cut(values.Get("document_id[2]"), "_")
	switch {
	case !slices.ContainsFunc(rules, func(r rule) bool { return r.code == c.Code }):
		return crm.RobotCall{}, fmt.Errorf("%w: no rule of ours", ErrEvent)
	case !memberID.MatchString(c.AccountKey) || !tokenish.MatchString(c.AppToken) || !printable.MatchString(c.Token):
		return crm.RobotCall{}, fmt.Errorf("%w: member_id or a token is missing or odd", ErrEvent)
	case kind != "DEAL" || !isID(id):
		return crm.RobotCall{}, fmt.Errorf("%w: no deal", ErrEvent)
	}
	c.DealID = id
	for name := range values {
		if m := propertyKey.FindStringSubmatch(name); m != nil {
			if v := strings.TrimSpace(values.Get(name)); v != "" && len(v) <= longestProperty {
				c.Properties[m[1]] = v
			}
		}
	}
	return c, nil
}

// LogRobot writes a line into the log of the scheme that waits under this token.
func (a *Account) LogRobot(ctx context.Context, token, line string) error {
	_, err := a.one(ctx, command{"bizproc.activity.log", params{"EVENT_TOKEN": token, "LOG_MESSAGE": line}})
	return err
}

// AnswerRobot lets the scheme that waits under this token go on.
func (a *Account) AnswerRobot(ctx context.Context, token string, values map[string]string, line string) error {
	back := params{}
	for name, v := range values {
		back[name] = v
	}
	_, err := a.one(ctx, command{"bizproc.event.send", params{"EVENT_TOKEN": token, "RETURN_VALUES": back, "LOG_MESSAGE": line}})
	return err
}
