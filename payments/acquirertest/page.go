package acquirertest

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"path"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// words of the hosted page by language; English stands in for the rest.
var words = map[string]map[string]string{
	"en": {"order": "Order", "pay": "Pay", "authorize": "Hold the amount", "decline": "Decline the card", "leave": "Back to the shop",
		"test": "Test page. No money moves.", "closed": "This page can no longer be paid.", "retry": "The card was declined. Try again."},
	"ru": {"order": "Заказ", "pay": "Оплатить", "authorize": "Удержать сумму", "decline": "Отклонить карту", "leave": "Вернуться в магазин",
		"test": "Тестовая страница. Деньги не списываются.", "closed": "Эту страницу уже нельзя оплатить.", "retry": "Карта отклонена. Попробуйте ещё раз."},
	"hy": {"order": "Պատվեր", "pay": "Վճարել", "authorize": "Սառեցնել գումարը", "decline": "Մերժել քարտը", "leave": "Վերադառնալ խանութ",
		"test": "Փորձնական էջ. գումար չի գանձվում։", "closed": "Այս էջով այլևս հնարավոր չէ վճարել։", "retry": "Քարտը մերժվեց։ Փորձեք կրկին։"},
}

// Page is the hosted payment page: what GET shows and what its buttons do by POST.
type Page struct {
	Name string // of the acquirer
	Desk Desk
	// Back is where the browser goes afterwards; nil means the payment's return URL as it is.
	Back func(p Payment) string
}

type view struct {
	Name, Lang, Amount, Code string
	Payment                  Payment
	Words                    map[string]string
	Payable, Retry           bool
}

// Show answers GET of the page of the payment ref.
func (g Page) Show(w http.ResponseWriter, _ *http.Request, ref string) {
	p, err := g.Desk.Books.Pay(ref, Abandoned) // looking at the page is what a customer who leaves does
	if errors.Is(err, ErrUnknown) {
		http.Error(w, "no such payment", http.StatusNotFound)
		return
	}
	lang := p.Language
	if words[lang] == nil {
		lang = "en"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = pageTemplate.Execute(w, view{Name: g.Name, Lang: lang, Amount: p.Asked.Decimal(), Code: p.Asked.Currency, Payment: p,
		Words: words[lang], Payable: err == nil, Retry: p.Status == Failed})
}

var buttons = map[string]Outcome{"pay": Paid, "decline": Declined, "leave": Abandoned, "authorize": Held}

// Press answers POST of the page: it books what the button says, sends one notice and returns the browser.
func (g Page) Press(w http.ResponseWriter, r *http.Request, ref string) {
	outcome, ok := buttons[r.PostFormValue("do")]
	if !ok {
		http.Error(w, "no such button", http.StatusBadRequest)
		return
	}
	p, err := g.Desk.take(ref, outcome)
	switch {
	case errors.Is(err, ErrUnknown):
		http.Error(w, "no such payment", http.StatusNotFound)
		return
	case err == nil && outcome != Abandoned && g.Desk.Announce != nil:
		g.Desk.Announce(p, 1, 0)
	}
	back := p.ReturnURL
	if g.Back != nil {
		back = g.Back(p)
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// LastSegment is the RefOf of acquirers whose page ends with the id.
func LastSegment(checkout *url.URL) string {
	return path.Base(checkout.Path)
}
