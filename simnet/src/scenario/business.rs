//! Checks `[business]`: how many businesses there are, with how many customers and employees.

use serde::Serialize;

use super::Users;
use super::check::millionths;
use super::file::File;
use super::groups::MAX_MEMBERS;
use super::users::MAX_CONVERSATIONS;
use crate::input::{Checker, InputError};

/// Businesses: each has a group with each of its customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Business {
    /// How many.
    pub count: u32,
    /// Customers of each.
    pub customers: u32,
    /// Contacts of the business who are in each of its groups.
    pub employees: u32,
    /// Millionths of a member's messages that go to these groups.
    pub messages_millionths: u32,
}

/// Checks the table.
pub(super) fn business(
    checker: &Checker<'_>,
    file: &File,
    users: &Users,
) -> Result<Option<Business>, InputError> {
    let Some(table) = &file.business else { return Ok(None) };
    let (count, customers) = (*table.count.get_ref(), *table.customers.get_ref());
    let employees = *table.employees.get_ref();
    if !(1..=users.count).contains(&count) {
        let message =
            format!("{count} businesses are not between 1 and {}, the number of users", users.count);
        return Err(checker.at(table.count.span(), "business.count", message));
    }
    // The business, one customer and the employees.
    let most = MAX_MEMBERS.min(users.count).saturating_sub(2);
    if employees > most {
        let message = format!("{employees} employees are not between 0 and {most}");
        return Err(checker.at(table.employees.span(), "business.employees", message));
    }
    let most = users.count.saturating_sub(employees + 1);
    if !(1..=most).contains(&customers) {
        let message =
            format!("{customers} customers are not between 1 and {most}, the users who do not work there");
        return Err(checker.at(table.customers.span(), "business.customers", message));
    }
    let members = u64::from(employees) + 2;
    let pairs = u64::from(count) * u64::from(customers) * (members * (members - 1) / 2);
    if pairs > u64::from(MAX_CONVERSATIONS) {
        let message = format!("makes {pairs} pairs of members, the most is {MAX_CONVERSATIONS}");
        return Err(checker.at(table.customers.span(), "business.customers", message));
    }
    let messages_millionths = match *table.messages.get_ref() {
        0.0 => 0,
        _ => millionths(checker, "business.messages", &table.messages)?,
    };
    Ok(Some(Business { count, customers, employees, messages_millionths }))
}
