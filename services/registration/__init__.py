"""Registration (参保登记): people, enrolments, deaths, booking and entitlements of 人社 and 医保."""
