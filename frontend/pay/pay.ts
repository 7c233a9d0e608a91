import './pay.css'
