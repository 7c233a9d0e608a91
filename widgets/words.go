package widgets

import "github.com/dealpay/dealpay/payments"

// said is what happened and what to do.
type said struct{ happened, todo string }

// words are the exceptions in the languages that managers read; others get English.
var words = map[string]map[string]said{
	"en": {
		"wrong_amount":          {"The customer paid another amount than the link asked for.", "Accept what came, forgive the difference, or give the money back."},
		"wrong_currency":        {"The customer paid in another currency than the link asked for.", "Count the invoice as paid, or give the money back."},
		"wrong_merchant":        {"The acquirer reports this payment for another merchant or order.", "Ask the acquirer whose money it is. Accept it only when it is yours; otherwise say that it is not."},
		"second_payment":        {"The customer paid a second time.", "Give the second payment back, or accept it."},
		"paid_after_cancel":     {"The customer paid after the link was cancelled.", "Accept the payment, or give the money back."},
		"paid_after_expiry":     {"The customer paid after the link had expired.", "Accept the payment, or give the money back."},
		payments.Orphan:         {"Money came to the acquirer that no payment link explains.", "Find out in the acquirer's console whose it is. Move it to the invoice it is for, record that you gave it back, or dismiss this."},
		payments.RefundUnknown:  {"The acquirer does not say whether the refund went through.", "Look in the acquirer's console and say what you see."},
		payments.RefundFailed:   {"A refund came to nothing: the customer has not got the money.", "Refund it again, or give it back by hand and record that."},
		payments.AnswerUnclear:  {"The acquirer answers about a payment what cannot be read here.", "Look at the payment in the acquirer's console and tell your Dealpay operator. Then dismiss this."},
		payments.SyncFailed:     {"The CRM could not be brought up to date. The payment itself is safe.", "Check the connection in the settings, then try again."},
		payments.DealGone:       {"The deal was deleted or merged in the CRM. The payment itself is safe.", "Move what was paid to an invoice of the deal that took its place, or dismiss this."},
		payments.DealMoved:      {"The deal was moved to a pipeline in which its stage does not follow its payments. Payments are safe.", "Choose stages for this pipeline in the settings and try again, or dismiss this and move the deal yourself."},
		payments.Overwritten:    {"Something in the CRM overwrites what we write into this deal, again and again.", "Look for a robot or another integration that changes the payment fields. Then try again."},
		payments.CRMBlocked:     {"The CRM has shut this account or our address out for a while. No payment is lost; the CRM is written later.", "It is tried again by itself. If it lasts, write to the CRM's support."},
		payments.CRMRevoked:     {"Dealpay has no access to the CRM any more. No payment is lost; the CRM is written when it is connected again.", "Connect the CRM again in the settings."},
		payments.AccessRefused:  {"An acquirer does not take the credentials that are connected: nobody can pay through it, and it cannot be asked about payments. What was paid is counted when it can be asked again.", "Open the acquirers in the settings, see which one it is, and enter the credentials that it gives you now. This closes by itself."},
		payments.NeverCaptured:  {"Money has been held on the customer's card for a week and was not taken.", "Take it or let it go in the acquirer's console. The bank will let it go by itself."},
		payments.NeverAnswered:  {"The customer came back from the acquirer's page, and the acquirer never said how the payment ended.", "Look for it in the acquirer's console. Money that comes is counted by itself; otherwise dismiss this."},
		payments.ReversedByOne:  {"The bank undid a payment, and nobody here asked for it.", "Ask the bank why. Ask the customer to pay again if the deal stands."},
		payments.DisputeOpen:    {"The customer's bank demands the money back.", "Answer in the acquirer's console before its deadline. This closes when the bank has decided."},
		payments.DisputeLost:    {"A dispute was lost: the bank took the money back.", "Decide whether the customer still owes it, then dismiss this."},
		payments.RefundApproval: {"A refund above your limit waits for a second administrator.", "Another administrator than the one who asked approves it, or anybody rejects it."},
		payments.SentBack:       {"The customer paid, but not what can be taken now, so the acquirer was told to give the money back.", "See in the acquirer's console that it went back. Ask the customer to pay by the link that is open, then dismiss this."},
		"refund_after_move":     {"The bank gave back money that counts for another invoice.", "Undo the move, so that the other invoice asks for its money again."},
	},
	"ru": {
		"wrong_amount":          {"Клиент заплатил не ту сумму, что в ссылке.", "Примите, что пришло, простите разницу или верните деньги."},
		"wrong_currency":        {"Клиент заплатил не в той валюте, что в ссылке.", "Зачтите счёт как оплаченный или верните деньги."},
		"wrong_merchant":        {"Банк относит этот платёж к другому продавцу или заказу.", "Спросите банк, чьи это деньги. Принимайте, только если ваши; иначе отметьте, что они не ваши."},
		"second_payment":        {"Клиент заплатил второй раз.", "Верните второй платёж или примите его."},
		"paid_after_cancel":     {"Клиент заплатил после отмены ссылки.", "Примите платёж или верните деньги."},
		"paid_after_expiry":     {"Клиент заплатил после того, как ссылка истекла.", "Примите платёж или верните деньги."},
		payments.Orphan:         {"В банк пришли деньги, которые не объясняет ни одна ссылка.", "Узнайте в кабинете банка, чьи они. Перенесите на тот счёт, за который они пришли, запишите, что вернули их, или закройте это."},
		payments.RefundUnknown:  {"Банк не говорит, прошёл ли возврат.", "Посмотрите в кабинете банка и отметьте, что видите."},
		payments.RefundFailed:   {"Возврат не состоялся: клиент не получил деньги.", "Верните ещё раз или отдайте деньги сами и запишите это."},
		payments.AnswerUnclear:  {"Ответ банка об этом платеже здесь непонятен.", "Посмотрите платёж в кабинете банка и сообщите тому, кто ведёт Dealpay. Затем закройте это."},
		payments.SyncFailed:     {"Не удалось обновить CRM. Сам платёж в порядке.", "Проверьте подключение в настройках и попробуйте снова."},
		payments.DealGone:       {"Сделку удалили или объединили в CRM. Сам платёж в порядке.", "Перенесите оплату на счёт сделки, которая её заменила, или закройте это."},
		payments.DealMoved:      {"Сделку перенесли в воронку, где её этап не зависит от оплаты. Платежи в порядке.", "Выберите этапы для этой воронки в настройках и попробуйте снова или закройте это и двигайте сделку сами."},
		payments.Overwritten:    {"Что-то в CRM снова и снова меняет то, что мы пишем в эту сделку.", "Найдите робота или другую интеграцию, которая меняет поля оплаты. Потом попробуйте снова."},
		payments.CRMBlocked:     {"CRM на время закрыла доступ этому аккаунту или нашему адресу. Платежи не теряются, CRM обновится позже.", "Мы попробуем снова сами. Если это надолго, напишите в поддержку CRM."},
		payments.CRMRevoked:     {"У Dealpay больше нет доступа к CRM. Платежи не теряются: CRM обновится, когда её снова подключат.", "Подключите CRM заново в настройках."},
		payments.AccessRefused:  {"Эквайер больше не принимает подключённые данные: платить через него нельзя, и спросить его о платежах нельзя. Что оплачено, зачтётся, когда его снова можно будет спросить.", "Откройте эквайеров в настройках, посмотрите, какой это, и введите данные, которые он даёт сейчас. Это закроется само."},
		payments.NeverCaptured:  {"Деньги уже неделю заморожены на карте клиента и не списаны.", "Спишите или отпустите их в кабинете банка. Банк отпустит их сам."},
		payments.NeverAnswered:  {"Клиент вернулся со страницы банка, а банк так и не сказал, чем кончился платёж.", "Найдите платёж в кабинете банка. Деньги, если придут, зачтутся сами; если их нет, закройте это."},
		payments.ReversedByOne:  {"Банк отменил платёж, и никто здесь об этом не просил.", "Спросите банк почему. Если сделка в силе, попросите клиента заплатить снова."},
		payments.DisputeOpen:    {"Банк клиента требует вернуть деньги.", "Ответьте в кабинете банка до срока. Это закроется, когда банк решит."},
		payments.DisputeLost:    {"Спор проигран: банк забрал деньги.", "Решите, должен ли клиент их ещё, и закройте это."},
		payments.RefundApproval: {"Возврат выше вашего предела ждёт второго администратора.", "Его подтверждает не тот, кто просил; отклонить может любой администратор."},
		payments.SentBack:       {"Клиент заплатил не то, что сейчас можно принять, и банку сказано вернуть деньги.", "Посмотрите в кабинете банка, что они вернулись. Попросите клиента заплатить по действующей ссылке и закройте это."},
		"refund_after_move":     {"Банк вернул деньги, которые зачтены другому счёту.", "Отмените перенос, чтобы другой счёт снова ждал оплаты."},
	},
	"hy": {
		"wrong_amount":          {"Հաճախորդը վճարել է հղումից տարբեր գումար։", "Ընդունեք ստացվածը, ներեք տարբերությունը կամ վերադարձրեք գումարը։"},
		"wrong_currency":        {"Հաճախորդը վճարել է հղումից տարբեր արժույթով։", "Հաշիվը համարեք վճարված կամ վերադարձրեք գումարը։"},
		"wrong_merchant":        {"Բանկն այս վճարումը վերագրում է այլ վաճառողի կամ պատվերի։", "Հարցրեք բանկին, թե ում գումարն է։ Ընդունեք միայն եթե ձերն է, այլապես նշեք, որ ձերը չէ։"},
		"second_payment":        {"Հաճախորդը վճարել է երկրորդ անգամ։", "Վերադարձրեք երկրորդ վճարումը կամ ընդունեք այն։"},
		"paid_after_cancel":     {"Հաճախորդը վճարել է հղման չեղարկումից հետո։", "Ընդունեք վճարումը կամ վերադարձրեք գումարը։"},
		"paid_after_expiry":     {"Հաճախորդը վճարել է հղման ժամկետից հետո։", "Ընդունեք վճարումը կամ վերադարձրեք գումարը։"},
		payments.Orphan:         {"Բանկ է եկել գումար, որը ոչ մի հղում չի բացատրում։", "Բանկի կաբինետում պարզեք, թե ումն է։ Տեղափոխեք այն հաշվին, որի համար եկել է, գրանցեք, որ վերադարձրել եք, կամ փակեք սա։"},
		payments.RefundUnknown:  {"Բանկը չի հայտնում՝ արդյոք վերադարձը կատարվել է։", "Նայեք բանկի կաբինետում և նշեք, թե ինչ եք տեսնում։"},
		payments.RefundFailed:   {"Վերադարձը չկայացավ. հաճախորդը գումարը չի ստացել։", "Վերադարձրեք կրկին կամ հանձնեք գումարն ինքներդ և գրանցեք դա։"},
		payments.AnswerUnclear:  {"Այս վճարման մասին բանկի պատասխանն այստեղ անհասկանալի է։", "Նայեք վճարումը բանկի կաբինետում և հայտնեք Dealpay-ը վարողին։ Հետո փակեք սա։"},
		payments.SyncFailed:     {"CRM-ը թարմացնել չհաջողվեց։ Վճարումն ապահով է։", "Ստուգեք կապը կարգավորումներում և կրկին փորձեք։"},
		payments.DealGone:       {"Գործարքը CRM-ում ջնջվել կամ միավորվել է։ Վճարումն ապահով է։", "Տեղափոխեք վճարվածը այն գործարքի հաշվին, որը փոխարինել է սրան, կամ փակեք սա։"},
		payments.DealMoved:      {"Գործարքը տեղափոխվել է ձագար, որտեղ դրա փուլը կախված չէ վճարումից։ Վճարումներն ապահով են։", "Կարգավորումներում ընտրեք փուլեր այս ձագարի համար և կրկին փորձեք կամ փակեք սա և ինքներդ տեղափոխեք գործարքը։"},
		payments.Overwritten:    {"CRM-ում ինչ-որ բան կրկին ու կրկին փոխում է մեր գրածն այս գործարքում։", "Գտեք ռոբոտը կամ այլ ինտեգրացիան, որը փոխում է վճարման դաշտերը։ Հետո կրկին փորձեք։"},
		payments.CRMBlocked:     {"CRM-ը որոշ ժամանակով փակել է այս հաշվի կամ մեր հասցեի մուտքը։ Վճարումները չեն կորչում, CRM-ը կթարմացվի ավելի ուշ։", "Մենք ինքներս կրկին կփորձենք։ Եթե երկար տևի, գրեք CRM-ի աջակցությանը։"},
		payments.CRMRevoked:     {"Dealpay-ն այլևս մուտք չունի CRM։ Վճարումները չեն կորչում. CRM-ը կթարմացվի, երբ այն նորից միացնեն։", "Կարգավորումներում նորից միացրեք CRM-ը։"},
		payments.AccessRefused:  {"Վճարային կազմակերպությունն այլևս չի ընդունում միացված տվյալները. դրա միջոցով վճարել և վճարումների մասին հարցնել հնարավոր չէ։ Վճարվածը կհաշվարկվի, երբ այն նորից հնարավոր լինի հարցնել։", "Կարգավորումներում բացեք վճարային կազմակերպությունները, տեսեք, թե որն է, և մուտքագրեք այն տվյալները, որ այն տալիս է հիմա։ Սա կփակվի ինքնաբերաբար։"},
		payments.NeverCaptured:  {"Գումարն արդեն մեկ շաբաթ սառեցված է հաճախորդի քարտին և չի գանձվել։", "Գանձեք կամ ազատեք այն բանկի կաբինետում։ Բանկն ինքը կազատի այն։"},
		payments.NeverAnswered:  {"Հաճախորդը վերադարձել է բանկի էջից, և բանկն այդպես էլ չի հայտնել, թե ինչով է ավարտվել վճարումը։", "Փնտրեք վճարումը բանկի կաբինետում։ Եթե գումարը գա, ինքնըստինքյան կհաշվարկվի, հակառակ դեպքում փակեք սա։"},
		payments.ReversedByOne:  {"Բանկը չեղարկել է վճարումը, և այստեղ ոչ ոք դա չի խնդրել։", "Հարցրեք բանկին՝ ինչու։ Եթե գործարքն ուժի մեջ է, խնդրեք հաճախորդին նորից վճարել։"},
		payments.DisputeOpen:    {"Հաճախորդի բանկը պահանջում է վերադարձնել գումարը։", "Պատասխանեք բանկի կաբինետում մինչև ժամկետը։ Սա կփակվի, երբ բանկը որոշի։"},
		payments.DisputeLost:    {"Վեճը պարտված է. բանկը հետ է վերցրել գումարը։", "Որոշեք՝ հաճախորդը դեռ պարտք է, թե ոչ, և փակեք սա։"},
		payments.RefundApproval: {"Ձեր սահմանից բարձր վերադարձը սպասում է երկրորդ ադմինիստրատորի։", "Հաստատում է ոչ թե խնդրողը, այլ ուրիշ ադմինիստրատոր. մերժել կարող է յուրաքանչյուրը։"},
		payments.SentBack:       {"Հաճախորդը վճարել է ոչ այն, ինչ հիմա կարելի է ընդունել, և բանկին ասվել է վերադարձնել գումարը։", "Բանկի կաբինետում համոզվեք, որ գումարը վերադարձվել է։ Խնդրեք հաճախորդին վճարել գործող հղումով և փակեք սա։"},
		"refund_after_move":     {"Բանկը վերադարձրել է գումար, որը հաշվարկված է այլ հաշվի համար։", "Չեղարկեք տեղափոխումը, որպեսզի մյուս հաշիվը նորից սպասի վճարման։"},
	},
}

func exceptionWords(kind, lang string) (happened, todo string) {
	table, ok := words[lang]
	if !ok {
		table = words["en"]
	}
	w := table[kind]
	return w.happened, w.todo
}

// purpose is how a new link's purpose begins; the deal's number follows.
func purpose(lang string) string {
	switch lang {
	case "ru":
		return "Оплата по сделке"
	case "hy":
		return "Վճարում՝ գործարք"
	}
	return "Payment for deal"
}
